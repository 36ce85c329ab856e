// settings.tsx - products and their switches.
import { api } from '../api';
import { act, ask } from '../dialog';
import { many } from '../format';
import { Load, onRules, useLoad } from '../load';
import { to } from '../route';
import { can } from '../session';
import type { Product } from '../types';
import { Badge, Button, Empty, Field, LinkButton, Panel, Screen } from '../ui';

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
    </div>
  </Panel>;
}

export function Settings() {
  const products = useLoad<{ products: Product[] }>('products', onRules);
  return <Screen title="Settings">
    <div class="stack">
      <Load of={products}>{({ products: all }) => all.length === 0
        ? <Panel><Empty title="No product yet" icon="box"><p>A product is made by publishing its first release.</p><LinkButton kind="main" href={to('releases/new')}>Publish one</LinkButton></Empty></Panel>
        : <div class="cols">{all.map((one) => <ProductPanel key={one.name} one={one} reload={products.reload} />)}</div>}</Load>
    </div>
  </Screen>;
}
