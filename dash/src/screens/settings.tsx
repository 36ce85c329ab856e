// settings.tsx - products: their switches and the keys they trust; and what molt serve was started with, to read.
import { useState } from 'preact/hooks';
import { api, query } from '../api';
import { act, ask, Modal } from '../dialog';
import { many } from '../format';
import { Load, onRules, useLoad } from '../load';
import { Paged } from '../pager';
import { to } from '../route';
import { can, canAll } from '../session';
import type { Key, Product, Setting } from '../types';
import { Badge, Button, Empty, Field, LinkButton, Panel, Screen } from '../ui';

/** The file of a P-256 key (RFC 5480) of its coordinates. */
function pemOf(xy: string): string {
  const der = `3059301306072a8648ce3d020106082a8648ce3d03010703420004${xy}`.match(/../g)!.map((byte) => String.fromCharCode(parseInt(byte, 16))).join('');
  return `-----BEGIN PUBLIC KEY-----\n${btoa(der).match(/.{1,64}/g)!.join('\n')}\n-----END PUBLIC KEY-----\n`;
}

function TrustKey({ product, close, done }: { product: string; close: () => void; done: () => void }) {
  const [pem, setPem] = useState('');
  const [role, setRole] = useState('signer');
  const trust = async (event: Event) => {
    event.preventDefault();
    if (await act(`${product} trusts the key.`, () => api(`products/${encodeURIComponent(product)}/keys`, { body: { pem, role } }))) { done(); close(); }
  };
  return <Modal title={`Trust a key for ${product}`} onClose={close}><form class="form" onSubmit={(event) => void trust(event)}>
    <p class="note warn">From then on {product} takes images signed by it only.</p>
    <Field label="Public key" hint="P-256, as PEM. The private one stays with yo">
      <textarea rows={4} class="mono" required spellcheck={false} placeholder="-----BEGIN PUBLIC KEY-----" value={pem} onInput={(event) => setPem(event.currentTarget.value)} /></Field>
    <Field label="It is of"><select value={role} onChange={(event) => setRole(event.currentTarget.value)}>
      <option value="signer">who signs images</option><option value="approver">who approves of them, as a second signature</option></select></Field>
    <div class="actions"><Button onClick={close}>Cancel</Button><Button kind="main" type="submit" disabled={!pem.trim()}>Trust it</Button></div>
  </form></Modal>;
}

function Keys({ product }: { product: string }) {
  const path = `products/${encodeURIComponent(product)}/keys`;
  const keys = useLoad<{ keys: Key[] }>(path, onRules);
  const [adding, setAdding] = useState(false);
  const mayChange = can('admin', product);
  const distrust = async (one: Key) => {
    const isLast = keys.data?.keys.length === 1;
    if (!await ask(`Trust key ${one.id} no more?`, { body: <p>What is published stays.{isLast && ` It is the last one: ${product} then takes unsigned images.`}</p>, action: 'Trust it no more', bad: true })) return;
    const undo = () => api(path, { body: { pem: pemOf(one.public), role: one.role } }).then(keys.reload);
    if (await act(`Key ${one.id} is trusted no more.`, () => api(`${path}${query({ key: one.id })}`, { method: 'DELETE' }), undo)) keys.reload();
  };
  return <div class="field"><span>Trusted keys</span>
    <Load of={keys} lines={1}>{({ keys: all }) => <>
      {all.length === 0 && <p class="dim">None: images need no signature.</p>}
      {all.length > 0 && <ul class="plain">{all.map((one) => <li key={one.id} class="line"><span><code>{one.id}</code> <span class="dim">{one.role}</span></span>
        {mayChange && <Button kind="plain" aria-label={`Trust key ${one.id} no more`} onClick={() => void distrust(one)}>Remove</Button>}</li>)}</ul>}
    </>}</Load>
    {mayChange && <div><Button kind="plain" aria-label={`Trust a key for ${product}`} onClick={() => setAdding(true)}>Trust a key</Button></div>}
    {adding && <TrustKey product={product} close={() => setAdding(false)} done={keys.reload} />}
  </div>;
}

function ProductPanel({ one, reload }: { one: Product; reload: () => void }) {
  const path = `products/${encodeURIComponent(one.name)}`;
  const rules = can('admin', one.name);
  const set = (said: string, body: Partial<Product>, before: Partial<Product>) =>
    act(said, () => api(path, { method: 'PATCH', body }), () => api(path, { method: 'PATCH', body: before }).then(reload)).then(reload);
  const stop = async () => {
    if (!one.stopped && !await ask(`Stop ${one.name}?`, { body: <p>Emergency stop: no device of it is offered or sent anything, pinned or not, until it is started again.</p>, action: 'Stop', bad: true })) return;
    await set(one.stopped ? `${one.name} is started.` : `${one.name} is stopped.`, { stopped: !one.stopped }, { stopped: one.stopped });
  };
  const toggle = (name: 'rollouts_only' | 'trust_unverified' | 'approval', words: string, hint: string) => <label class="switch">
    <input type="checkbox" disabled={!rules} checked={one[name]} onChange={(event) => void set('Saved.', { [name]: event.currentTarget.checked }, { [name]: one[name] })} /><span>{words}<small>{hint}</small></span></label>;
  return <Panel title={<>{one.name} {one.stopped && <Badge tone="bad" icon="stop">stopped</Badge>}</>}
    actions={<Button need="operate" of={one.name} kind={one.stopped ? 'main' : 'bad'} icon={one.stopped ? 'play' : 'stop'} onClick={() => void stop()}>{one.stopped ? 'Start' : 'Stop'}</Button>}>
    <div class="form">
      <p class="dim">{many(one.releases, 'release')}{one.newest_version && `, the newest ${one.newest_version}`}{one.adopts.length > 0 && `; unknown ${one.adopts.join(' and ')} devices get it`}</p>
      {toggle('rollouts_only', 'Offer nothing without a rollout', 'Else a release is offered to every device as soon as it is published.')}
      {toggle('approval', 'A rollout needs a second person', 'It waits until somebody else than its maker approves of it.')}
      {toggle('trust_unverified', 'Believe reports without a credential', 'They then count in the rules of rollouts: for stock clients on a network of your own.')}
      <Field label="Older versions"><select disabled={!rules} value={one.downgrade} onChange={(event) => void set('Saved.', { downgrade: event.currentTarget.value }, { downgrade: one.downgrade })}>
        <option value="never">are never offered</option><option value="pinned">are offered to devices pinned to them</option><option value="allowed">may be offered</option></select></Field>
      <Keys product={one.name} />
    </div>
  </Panel>;
}

function Value({ one }: { one: Setting }) {
  if (one.values.length === 0) return <span class="dim">{one.default || 'none'}</span>;
  return <>{one.values.map((value) => <code class="break" key={value} style={{ display: 'block' }}>{value}</code>)}</>;
}

/** What molt serve runs with. It is changed where it was set: by a flag, a variable or the file. */
function ServerSettings() {
  const settings = useLoad<{ settings: Setting[] }>('settings', () => false);
  const [words, setWords] = useState('');
  const [mine, setMine] = useState(false);
  const has = (one: Setting) => (!mine || one.values.length > 0) && [one.name, one.help, ...one.values].some((text) => text.toLowerCase().includes(words.trim().toLowerCase()));
  return <Panel title="What molt serve runs with" class="flush">
    <div class="toolbar">
      <div class="filter"><input type="search" aria-label="Look for a setting" placeholder="listen, webhook, retention …" value={words} onInput={(event) => setWords(event.currentTarget.value)} /></div>
      <button type="button" class="chip" aria-pressed={mine} onClick={() => setMine(!mine)}>Only what is set</button>
    </div>
    <Load of={settings} lines={8}>{(data) => {
      const found = data.settings.filter(has);
      return found.length === 0 ? <Empty title="No setting has these words" icon="gear"><Button onClick={() => { setWords(''); setMine(false); }}>Show all</Button></Empty>
        : <Paged key={`${words} ${String(mine)}`} all={found} size={15}>{(rows) => <div class="table-wrap"><table>
          <thead><tr><th scope="col">Setting</th><th scope="col">Value</th><th scope="col" class="wide">A change needs</th></tr></thead>
          <tbody>{rows.map((one) => <tr key={one.name}><td><code>--{one.name}</code><span class="second">{one.help}</span></td><td><Value one={one} /></td>
            <td class="wide dim">{one.live ? 'molt serve to reload (SIGHUP)' : 'a restart'}</td></tr>)}</tbody></table></div>}</Paged>;
    }}</Load>
  </Panel>;
}

export function Settings() {
  const products = useLoad<{ products: Product[] }>('products', onRules);
  return <Screen title="Settings" sub="Products and their rules, and how this server was started.">
    <div class="stack">
      <Load of={products}>{({ products: all }) => all.length === 0
        ? <Panel><Empty title="No product yet" icon="box"><p>A product is made by publishing its first release.</p><LinkButton need="upload" kind="main" href={to('releases/new')}>Publish one</LinkButton></Empty></Panel>
        : <Paged all={all} size={8}>{(rows) => <div class="cols">{rows.map((one) => <ProductPanel key={one.name} one={one} reload={products.reload} />)}</div>}</Paged>}</Load>
      {canAll('admin') && <ServerSettings />}
    </div>
  </Screen>;
}
