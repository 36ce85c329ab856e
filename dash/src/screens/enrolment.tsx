// enrolment.tsx - devices that asked and that nobody has said anything about: assign, approve, or turn away; and registering
// them before they call.
import { useState } from 'preact/hooks';
import { api, query } from '../api';
import { act } from '../dialog';
import { mac, many } from '../format';
import { both, Load, onRules, useLoad } from '../load';
import { Paged } from '../pager';
import { device, to } from '../route';
import type { Device, DevicePage, Product, Server } from '../types';
import { Ago, Badge, Button, Empty, Field, LinkButton, Panel, Screen } from '../ui';
import { patchDevice } from './bulk';

const modes: Record<Server['enrol'], string> = {
  open: 'Every device is taken in from its first request on.',
  token: 'Only devices with a token of theirs are taken in.',
  list: 'Only devices that were registered here are taken in.',
  approval: 'Every device is recorded, and held until somebody releases it.',
};

function Row({ one, products, reload }: { one: Device; products: Product[]; reload: () => void }) {
  const [product, setProduct] = useState(one.product ?? (products.length === 1 ? products[0]!.name : ''));
  const [busy, setBusy] = useState(false);
  const before = { product: one.product, held: one.held };
  const set = async (said: string, body: Record<string, unknown>) => {
    setBusy(true);
    if (await act(said, () => patchDevice(one.id, body), () => patchDevice(one.id, before).then(reload))) reload();
    setBusy(false);
  };
  return <tr>
    <td><a class="main mono" data-row href={device(one.id)}>{mac(one.id)}</a><span class="second">{one.chip ?? 'chip not known'} · {one.client} · {one.address ?? 'no address'}</span>
      {one.held && <Badge tone="warn" icon="hold">held</Badge>}</td>
    <td class="wide"><Ago ms={one.first_seen_ms} /></td>
    <td><div class="actions">
      <span><select aria-label={`Product of ${one.id}`} value={product} onChange={(event) => setProduct(event.currentTarget.value)}>
        <option value="">product …</option>{products.map((item) => <option key={item.name} value={item.name}>{item.name}</option>)}</select></span>
      <Button kind="main" busy={busy} disabled={!product} onClick={() => void set(`${mac(one.id)} is taken in as ${product}.`, { product, held: false })}>Accept</Button>
      {!one.held && <Button busy={busy} onClick={() => void set(`${mac(one.id)} is turned away: it is held.`, { held: true })}>Turn away</Button>}
    </div></td>
  </tr>;
}

function Register({ products, reload }: { products: Product[]; reload: () => void }) {
  const [ids, setIds] = useState('');
  const [product, setProduct] = useState('');
  const [group, setGroup] = useState('');
  const [busy, setBusy] = useState(false);
  const list = ids.split(/[\s,;]+/).filter(Boolean);
  const register = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    const body = { product: product || null, group: group.trim() || null };
    const done = await act(`${many(list.length, 'device')} registered.`, () => list.reduce<Promise<unknown>>((was, id) => was.then(() => api(`devices/${encodeURIComponent(id)}`, { method: 'PUT', body })), Promise.resolve()));
    if (done) { setIds(''); reload(); }
    setBusy(false);
  };
  return <Panel title="Register before they call">
    <form class="form" onSubmit={(event) => void register(event)}>
      <Field label="Devices" hint="MACs or names, one a line; in any spelling"><textarea rows={4} class="mono" spellcheck={false} value={ids} onInput={(event) => setIds(event.currentTarget.value)} /></Field>
      <div class="pair">
        <Field label="Product"><select value={product} onChange={(event) => setProduct(event.currentTarget.value)}><option value="">none yet</option>{products.map((one) => <option key={one.name} value={one.name}>{one.name}</option>)}</select></Field>
        <Field label="Group"><input type="text" value={group} onInput={(event) => setGroup(event.currentTarget.value)} /></Field>
      </div>
      <div><Button kind="main" type="submit" busy={busy} disabled={list.length === 0}>Register {list.length > 0 && list.length}</Button></div>
      <p class="dim">Many, with everything else: <code>molt device import FILE.csv</code></p>
    </form>
  </Panel>;
}

export function Enrolment() {
  const server = useLoad<Server>('server', () => false);
  const queue = useLoad<DevicePage>(`devices${query({ filter: 'product = "" and seen < 3650d', limit: 200 })}`);
  const held = useLoad<DevicePage>(`devices${query({ filter: 'held = yes and product != ""', limit: 50 })}`);
  const products = useLoad<{ products: Product[] }>('products', onRules);
  const all = products.data?.products ?? [];
  const reload = () => { queue.reload(); held.reload(); };
  const table = (devices: Device[]) => <Paged all={devices}>{(rows) => <div class="table-wrap"><table>
    <thead><tr><th scope="col">Device</th><th scope="col" class="wide">First asked</th><th scope="col">Take it in as</th></tr></thead>
    <tbody>{rows.map((one) => <Row key={`${one.id} ${all.length}`} one={one} products={all} reload={reload} />)}</tbody>
  </table></div>}</Paged>;
  return <Screen title="Enrolment" sub={server.data && <>{modes[server.data.enrol]} <span class="dim">(molt serve --enrol {server.data.enrol})</span></>}>
    <div class="stack">
      <Panel title="Waiting" class="flush"><Load of={both(queue, products)} lines={6}>{([page]) => page.devices.length === 0
        ? <Empty title="Nobody waits" icon="door"><p>Devices that ask and have no product are listed here.</p><LinkButton href={to('welcome')}>Connect a device</LinkButton></Empty>
        : <>{table(page.devices)}{page.next && <p class="pager">More wait; they follow when these are decided.</p>}</>}</Load></Panel>
      {(held.data?.devices.length ?? 0) > 0 && <Panel title="Held" class="flush">{table(held.data!.devices)}</Panel>}
      <Register products={all} reload={reload} />
    </div>
  </Screen>;
}
