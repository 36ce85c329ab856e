// device.tsx - one device: why it is, or is not, offered what; what became of its updates; what it is; what to do with it.
import { useState } from 'preact/hooks';
import { api, query } from '../api';
import { act, ask, Modal } from '../dialog';
import { bytes, count, mac, moment } from '../format';
import { Load, onDevice, onRules, useLoad } from '../load';
import { devices, go, to } from '../route';
import { canAll } from '../session';
import type { Attempts, Device as Row, Log, Product, Release, Why } from '../types';
import { Ago, Badge, Button, Copy, Empty, Fact, Field, Icon, Panel, reasonTone, Screen, State } from '../ui';
import { patchDevice } from './bulk';

const tones = { offer: 'good', wait: 'busy', nothing: '' } as const;
const verdicts = { offer: 'It is offered an update', wait: 'It has to wait', nothing: 'It is offered nothing' } as const;

function WhyPanel({ of }: { of: ReturnType<typeof useLoad<Why>> }) {
  return <Panel title="Why">
    <Load of={of}>{(why) => {
      const tone = why.verdict === 'nothing' ? (reasonTone(why.reason) === 'warn' ? 'warn' : reasonTone(why.reason) === 'good' ? 'good' : '') : tones[why.verdict];
      return <>
        <div class={`verdict ${tone}`}>
          <b>{why.reason?.id === 'up-to-date' ? 'It is up to date' : verdicts[why.verdict]}{why.release && why.verdict === 'offer' && `: ${why.release.version}`}</b>
          <p>{why.reason?.sentence}{why.detail && ` ${why.detail}`}</p>
          {why.verdict === 'offer' && <p class="dim">{why.encoding} · {bytes(why.size)}{why.rollout !== null && <> · <a href={to(`rollouts/${why.rollout}`)}>rollout {why.rollout}</a></>}</p>}
          {why.again_s !== null && <p class="dim">It is told to come back in {why.again_s} s.</p>}
          {why.next && <p class="mono dim">{why.next}</p>}
        </div>
        {why.steps.length > 0 && <ol class="trace" aria-label="Releases that were looked at">{why.steps.map((step) => {
          const taken = !step.reason || step.reason.id === 'offered';
          return <li key={step.release.id} class={taken ? 'good' : ''}>
            <Icon name={taken ? 'ok' : 'none'} />
            <a href={to(`releases/${step.release.id}`)}>{step.release.version}</a> <span class="dim">code {step.release.code}, {step.release.channel}</span>
            <div>{step.reason?.sentence ?? 'offered'} {step.detail && <span class="dim">{step.detail}</span>}</div>
          </li>;
        })}</ol>}
      </>;
    }}</Load>
  </Panel>;
}

interface Line { at: number | null; icon: string; tone: string; words: preact.ComponentChildren }

function lines(one: Row, history: Attempts | null): Line[] {
  const all: Line[] = [];
  if (!['none', 'updated', 'presumed', 'failed', 'rolled-back'].includes(one.attempt.state))
    all.push({ at: one.attempt.announced_ms, icon: 'wait', tone: 'busy', words: <>now: <State of={one.attempt.state} /> {one.attempt.code !== null && `code ${one.attempt.code}`}{one.attempt.sends > 0 && `, sent ${one.attempt.sends} times`}</> });
  if (one.reason) all.push({ at: one.reason_ms, icon: reasonTone(one.reason) === 'warn' ? 'warn' : 'none', tone: reasonTone(one.reason),
    words: <>{one.reason.sentence} {one.detail && <span class="dim">{one.detail}</span>}</> });
  for (const end of history?.attempts ?? []) {
    const good = end.result === 'updated' || end.result === 'presumed';
    all.push({ at: end.ended_ms, icon: good ? 'ok' : end.result === 'rolled-back' ? 'back' : 'fail', tone: good ? 'good' : 'bad', words: <>
      <State of={end.result} /> {end.from_code > 0 && `${end.from_code} → `}{end.version || (end.code > 0 ? `code ${end.code}` : 'an unknown version')}
      {end.rollout !== null && <> · <a href={to(`rollouts/${end.rollout}`)}>rollout {end.rollout}</a></>}
      <span class="dim">{end.bytes > 0 && ` · ${bytes(end.bytes)} sent`}{end.verified ? '' : ' · unverified report'}</span>
      {end.reason && <div>{end.reason.sentence}</div>}
    </> });
  }
  if ((history?.attempts.length ?? 0) === 0 && one.attempt.result)
    all.push({ at: one.rollout && !one.rollout.open ? one.rollout.since_ms : null, icon: one.attempt.result.state === 'updated' || one.attempt.result.state === 'presumed' ? 'ok' : 'fail',
      tone: one.attempt.result.state === 'updated' || one.attempt.result.state === 'presumed' ? 'good' : 'bad',
      words: <>last result: <State of={one.attempt.result.state} /> {one.attempt.result.reason?.sentence}</> });
  if (one.first_seen_ms) all.push({ at: one.first_seen_ms, icon: 'door', tone: '', words: 'first known here' });
  return all.sort((a, b) => (b.at ?? 0) - (a.at ?? 0));
}

function HistoryPanel({ one, history, log }: { one: Row; history: ReturnType<typeof useLoad<Attempts>>; log: Log | null }) {
  return <Panel title="History">
    {history.error && <p class="note warn">{history.error}</p>}
    <ol class="timeline">{lines(one, history.data).map((line, n) => <li key={n} class={line.tone}>
      <Icon name={line.icon} /><div>{line.words}</div><div class="dim"><Ago ms={line.at} none="" /></div>
    </li>)}</ol>
    {log?.text && <details><summary>Its last lines, <Ago ms={log.updated_ms} /></summary><pre tabIndex={0}>{log.text}</pre></details>}
  </Panel>;
}

function Facts({ one }: { one: Row }) {
  const source: Record<string, string> = { said: 'it said so', set: 'set by a person', digest: 'known by its firmware', assumed: 'assumed from its product' };
  return <Panel title="What it is"><dl class="facts">
    <Fact name="Chip">{one.chip ?? 'not known'} <span class="dim">{source[one.chip_source]}</span></Fact>
    <Fact name="Client">{one.client}</Fact>
    <Fact name="Runs">{one.running.version ?? 'not known'} <span class="dim">{one.running.code !== null && `code ${one.running.code}`}</span></Fact>
    <Fact name="Core">{one.running.core ?? '–'}</Fact>
    <Fact name="Sketch">{bytes(one.running.size)}</Fact>
    <Fact name="Free space">{bytes(one.space.free)}</Fact>
    <Fact name="Flash">{bytes(one.space.flash_size)}</Fact>
    <Fact name="Next slot">{bytes(one.space.slot_size)}</Fact>
    <Fact name="Credential">{one.verified ? <Badge tone="good">verified</Badge> : <span class="dim">reports are not verified</span>}</Fact>
    <Fact name="Address">{one.address ?? '–'}</Fact>
    <Fact name="Digest"><span class="mono">{one.running.digest ? `${one.running.digest.slice(0, 16)}…` : '–'}</span></Fact>
    <Fact name="First seen">{one.first_seen_ms ? moment(one.first_seen_ms) : 'never'}</Fact>
  </dl></Panel>;
}

function Edit({ one, products, close, done }: { one: Row; products: Product[]; close: () => void; done: () => void }) {
  const [product, setProduct] = useState(one.product ?? '');
  const [channel, setChannel] = useState(one.channel ?? 'stable');
  const [group, setGroup] = useState(one.group ?? '');
  const [tags, setTags] = useState(one.tags.join(' '));
  const [attributes, setAttributes] = useState(Object.entries(one.attributes).map(([name, value]) => `${name}=${value}`).join(' '));
  const [pin, setPin] = useState(one.pin === null ? '' : String(one.pin));
  const releases = useLoad<{ releases: Release[] }>(product ? `releases${query({ product })}` : null, onRules);
  const words = (text: string) => text.split(/[\s,]+/).filter(Boolean);
  const save = async (event: Event) => {
    event.preventDefault();
    const body = {
      product: product || null, channel: channel.trim() || null, group: group.trim() || null, tags: words(tags), pin: pin ? Number(pin) : null,
      attributes: Object.fromEntries(words(attributes).map((pair) => { const at = pair.indexOf('='); return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)]; })),
    };
    const before = { product: one.product, channel: one.channel, group: one.group, tags: one.tags, attributes: one.attributes, pin: one.pin };
    if (await act('Saved.', () => patchDevice(one.id, body), () => patchDevice(one.id, before).then(done))) { done(); close(); }
  };
  return <Modal title={`Edit ${mac(one.id)}`} onClose={close}>
    <form class="form" onSubmit={(event) => void save(event)}>
      <div class="pair">
        <Field label="Product"><select value={product} onChange={(event) => setProduct(event.currentTarget.value)}>
          <option value="">none</option>{products.map((item) => <option key={item.name} value={item.name}>{item.name}</option>)}</select></Field>
        <Field label="Channel"><input type="text" value={channel} onInput={(event) => setChannel(event.currentTarget.value)} /></Field>
      </div>
      <div class="pair">
        <Field label="Group"><input type="text" value={group} onInput={(event) => setGroup(event.currentTarget.value)} /></Field>
        <Field label="Pinned to"><select value={pin} onChange={(event) => setPin(event.currentTarget.value)}>
          <option value="">not pinned</option>
          {pin && !(releases.data?.releases ?? []).some((item) => String(item.code) === pin) && <option value={pin}>code {pin}</option>}
          {(releases.data?.releases ?? []).map((item) => <option key={item.id} value={item.code}>{item.version} (code {item.code})</option>)}</select></Field>
      </div>
      <Field label="Tags" hint="words, a space between"><input type="text" value={tags} onInput={(event) => setTags(event.currentTarget.value)} /></Field>
      <Field label="Attributes" hint="name=value, a space between"><input type="text" value={attributes} onInput={(event) => setAttributes(event.currentTarget.value)} /></Field>
      <div class="actions"><Button onClick={close}>Cancel</Button><Button kind="main" type="submit">Save</Button></div>
    </form>
  </Modal>;
}

function TokenOnce({ id, token, close }: { id: string; token: string; close: () => void }) {
  return <Modal title={`Token of ${mac(id)}`} onClose={close}>
    <p>Give it to the device now: it is not shown again.</p>
    <pre tabIndex={0}>{token}</pre>
    <div class="actions"><Copy value={token} /><Button kind="main" onClick={close}>Done</Button></div>
  </Modal>;
}

function Actions({ one, reload, products }: { one: Row; reload: () => void; products: Product[] }) {
  const [editing, setEditing] = useState(false);
  const [token, setToken] = useState<string | null>(null);
  const path = `devices/${encodeURIComponent(one.id)}`;
  const hold = (held: boolean) => void act(held ? 'Held: nothing is offered to it.' : 'Released.', () => patchDevice(one.id, { held }), () => patchDevice(one.id, { held: !held }).then(reload)).then(reload);
  const make = async () => {
    try { setToken((await api<{ token: string }>('tokens', { body: { kind: 'device', device: one.id } })).token); } catch (error) { void act('', () => Promise.reject(error)); }
  };
  const forget = async () => {
    if (!await ask(`Forget ${mac(one.id)}?`, { body: <p>Its row, tokens and history are deleted. When it calls again it is recorded as new.</p>, action: 'Forget', bad: true })) return;
    if (await act(`${mac(one.id)} is forgotten.`, () => api(path, { method: 'DELETE' }))) go(to('devices'));
  };
  return <>
    <Button need="operate" of={one.product} kind="main" onClick={() => setEditing(true)}>Edit</Button>
    <Button need="operate" of={one.product} icon={one.held ? 'play' : 'hold'} onClick={() => hold(!one.held)}>{one.held ? 'Release' : 'Hold'}</Button>
    <Button need="operate" of={one.product} icon="back" onClick={() => void act('What failed on it is offered again.', () => api(`${path}/retry`, { method: 'POST' })).then(reload)}>Retry</Button>
    {canAll('admin') && <Button onClick={() => void make()}>New token</Button>}
    <Button need="operate" of={one.product} kind="bad" onClick={() => void forget()}>Forget</Button>
    {editing && <Edit one={one} products={products} close={() => setEditing(false)} done={reload} />}
    {token && <TokenOnce id={one.id} token={token} close={() => setToken(null)} />}
  </>;
}

export function Device({ id }: { id: string }) {
  const path = `devices/${encodeURIComponent(id)}`;
  const row = useLoad<Row>(path, onDevice(id));
  const why = useLoad<Why>(`${path}/why`, onDevice(id));
  const history = useLoad<Attempts>(`${path}/attempts`, onDevice(id));
  const log = useLoad<Log>(`${path}/log`, onDevice(id));
  const products = useLoad<{ products: Product[] }>('products', onRules);
  const reload = () => { row.reload(); why.reload(); history.reload(); };
  const one = row.data;
  const title = <span class="mono">{mac(id)}</span>;
  const back = { href: to('devices'), text: 'Devices' };
  if (row.status === 404) return <Screen title={title} back={back}><Panel><Empty title="There is no such device" icon="chip"><p>It is recorded when it first asks this server, and may have been forgotten.</p></Empty></Panel></Screen>;
  return <Screen title={title} back={back} actions={one && <Actions one={one} reload={reload} products={products.data?.products ?? []} />}
    sub={one && <span class="badges">
      {one.product ? <a href={devices(`product = ${one.product}`)}>{one.product}</a> : <em>no product</em>} <State of={one.attempt.state} />
      {one.held && <Badge tone="warn" icon="hold">held</Badge>}{one.pin !== null && <Badge tone="calm" icon="tag">pinned to {one.pin}</Badge>}
      {one.group && <Badge tone="calm" icon="tag">group {one.group}</Badge>}{one.tags.map((tag) => <Badge key={tag} tone="calm" icon="tag">{tag}</Badge>)}
      {Object.entries(one.attributes).map(([name, value]) => <Badge key={name} tone="calm" icon="tag">{name} = {value}</Badge>)}
      <span>seen <Ago ms={one.last_seen_ms} /></span>
      {one.rollout && one.rollout.failures > 0 && <Badge tone="bad">{count(one.rollout.failures)} failed in rollout {one.rollout.id}</Badge>}
    </span>}>
    <div class="cols wide-left">
      <div class="stack"><WhyPanel of={why} />{one && <Facts one={one} />}</div>
      <Load of={row} lines={8}>{(data) => <HistoryPanel one={data} history={history} log={log.data} />}</Load>
    </div>
  </Screen>;
}
