// settings.tsx - products and their switches, and the tokens that let people, programs and devices in.
import { useState } from 'preact/hooks';
import { api } from '../api';
import { act, ask, Modal } from '../dialog';
import { count, mac, many } from '../format';
import { Load, onRules, useLoad } from '../load';
import { to } from '../route';
import type { Product, Token } from '../types';
import { Ago, Badge, Button, Copy, Empty, Field, LinkButton, Panel, Screen } from '../ui';

function ProductPanel({ one, reload }: { one: Product; reload: () => void }) {
  const path = `products/${encodeURIComponent(one.name)}`;
  const set = (said: string, body: Partial<Product>, before: Partial<Product>) =>
    act(said, () => api(path, { method: 'PATCH', body }), () => api(path, { method: 'PATCH', body: before }).then(reload)).then(reload);
  const stop = async () => {
    if (!one.stopped && !await ask(`Stop ${one.name}?`, { body: <p>Emergency stop: no device of it is offered or sent anything, pinned or not, until it is started again.</p>, action: 'Stop', bad: true })) return;
    await set(one.stopped ? `${one.name} is started.` : `${one.name} is stopped.`, { stopped: !one.stopped }, { stopped: one.stopped });
  };
  const toggle = (name: 'rollouts_only' | 'trust_unverified' | 'approval', words: string, hint: string) => <label class="switch">
    <input type="checkbox" checked={one[name]} onChange={(event) => void set('Saved.', { [name]: event.currentTarget.checked }, { [name]: one[name] })} /><span>{words}<small>{hint}</small></span></label>;
  return <Panel title={<>{one.name} {one.stopped && <Badge tone="bad" icon="stop">stopped</Badge>}</>}
    actions={<Button kind={one.stopped ? 'main' : 'bad'} icon={one.stopped ? 'play' : 'stop'} onClick={() => void stop()}>{one.stopped ? 'Start' : 'Stop'}</Button>}>
    <div class="form">
      <p class="dim">{many(one.releases, 'release')}{one.newest_version && `, the newest ${one.newest_version}`}{one.adopts.length > 0 && `; unknown ${one.adopts.join(' and ')} devices get it`}</p>
      {toggle('rollouts_only', 'Offer nothing without a rollout', 'Else a release is offered to every device as soon as it is published.')}
      {toggle('approval', 'A rollout needs a second person', 'It waits until somebody else than its maker approves of it.')}
      {toggle('trust_unverified', 'Believe reports without a credential', 'They then count in the rules of rollouts: for stock clients on a network of your own.')}
      <Field label="Older versions"><select value={one.downgrade} onChange={(event) => void set('Saved.', { downgrade: event.currentTarget.value }, { downgrade: one.downgrade })}>
        <option value="never">are never offered</option><option value="pinned">are offered to devices pinned to them</option><option value="allowed">may be offered</option></select></Field>
    </div>
  </Panel>;
}

function NewToken({ products, close, reload }: { products: Product[]; close: () => void; reload: () => void }) {
  const [label, setLabel] = useState('');
  const [kind, setKind] = useState('admin');
  const [of, setOf] = useState('');
  const [made, setMade] = useState<string | null>(null);
  const shared = kind === 'gateway' || kind === 'enrol';
  const make = async (event: Event) => {
    event.preventDefault();
    const body = { label: label.trim() || null, kind, ...(kind === 'device' ? { device: of.trim() } : shared ? { product: of } : {}) };
    await act('The token is made.', async () => { setMade((await api<{ token: string }>('tokens', { body })).token); reload(); });
  };
  if (made) return <Modal title="The new token" onClose={close}>
    <p>Copy it now: only its fingerprint is kept, and it is not shown again.</p><pre tabIndex={0}>{made}</pre>
    <div class="actions"><Copy value={made} /><Button kind="main" onClick={close}>Done</Button></div></Modal>;
  return <Modal title="New token" onClose={close}><form class="form" onSubmit={(event) => void make(event)}>
    <Field label="What it is for"><input type="text" value={label} maxLength={64} onInput={(event) => setLabel(event.currentTarget.value)} /></Field>
    <Field label="Kind"><select value={kind} onChange={(event) => { setKind(event.currentTarget.value); setOf(''); }}>
      <option value="admin">admin: everything, for people and programs</option><option value="device">device: the reports of one device</option>
      <option value="gateway">gateway: reports of all devices of a product</option><option value="enrol">enrol: takes new devices of a product in</option></select></Field>
    {kind === 'device' && <Field label="Device"><input type="text" class="mono" required value={of} onInput={(event) => setOf(event.currentTarget.value)} /></Field>}
    {shared && <Field label="Product"><select required value={of} onChange={(event) => setOf(event.currentTarget.value)}><option value="">Choose …</option>{products.map((one) => <option key={one.name} value={one.name}>{one.name}</option>)}</select></Field>}
    <div class="actions"><Button onClick={close}>Cancel</Button><Button kind="main" type="submit">Make it</Button></div>
  </form></Modal>;
}

function Tokens({ products }: { products: Product[] }) {
  const tokens = useLoad<{ tokens: Token[] }>('tokens', onRules);
  const [making, setMaking] = useState(false);
  const revoke = async (one: Token) => {
    const last = one.kind === 'admin' && (tokens.data?.tokens ?? []).filter((other) => other.kind === 'admin').length === 1;
    if (!await ask(`Revoke ${one.label ?? one.id}?`, {
      body: <p>Whoever uses it is refused from now on{one.kind === 'admin' && ', also people who logged in with it'}. This cannot be undone.{last && ' It is the last admin token: afterwards only the command line on the server can make another.'}</p>, action: 'Revoke', bad: true,
    })) return;
    if (await act('The token is revoked.', () => api(`tokens/${one.id}`, { method: 'DELETE' }))) tokens.reload();
  };
  return <Panel title="Tokens" class="flush" actions={<Button onClick={() => setMaking(true)}>New token</Button>}>
    <Load of={tokens} lines={4}>{({ tokens: all }) => all.length === 0 ? <Empty title="There is no token" />
      : <div class="table-wrap"><table><thead><tr><th scope="col">Token</th><th scope="col">Kind</th><th scope="col" class="wide">Made</th><th><span class="visually-hidden">Actions</span></th></tr></thead>
        <tbody>{all.slice(0, 200).map((one) => <tr key={one.id}><td>{one.label ?? <span class="dim">no label</span>}<span class="second mono">{one.id}</span></td>
          <td>{one.kind}<span class="second">{one.device ? mac(one.device) : one.product ?? ''}</span></td><td class="wide"><Ago ms={one.created_ms} /></td>
          <td class="num"><Button kind="plain" aria-label={`Revoke ${one.label ?? one.id}`} onClick={() => void revoke(one)}>Revoke</Button></td></tr>)}</tbody></table>
        {all.length > 200 && <p class="pager">and {count(all.length - 200)} more: <code>molt token list</code></p>}</div>}</Load>
    {making && <NewToken products={products} close={() => setMaking(false)} reload={tokens.reload} />}
  </Panel>;
}

export function Settings() {
  const products = useLoad<{ products: Product[] }>('products', onRules);
  return <Screen title="Settings">
    <div class="stack">
      <Load of={products}>{({ products: all }) => all.length === 0
        ? <Panel><Empty title="No product yet" icon="box"><p>A product is made by publishing its first release.</p><LinkButton kind="main" href={to('releases/new')}>Publish one</LinkButton></Empty></Panel>
        : <div class="cols">{all.map((one) => <ProductPanel key={one.name} one={one} reload={products.reload} />)}</div>}</Load>
      <Tokens products={products.data?.products ?? []} />
    </div>
  </Screen>;
}
