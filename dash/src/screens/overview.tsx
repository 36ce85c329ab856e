// overview.tsx - what a person looks at first: what needs attention and why, one click from acting; then the figures.
import { api } from '../api';
import { act, ask } from '../dialog';
import { bytes, count, many, percent, quoted } from '../format';
import { both, Load, onRules, useLoad } from '../load';
import { RatePlot, SharesPlot, versionTone } from '../plots';
import { devices, to } from '../route';
import { can, canAll } from '../session';
import type { AuditPage, Overview as View, Product, Rollout, Server, Status, Trends } from '../types';
import { Ago, Bar, Button, Empty, Icon, LinkButton, Panel, Screen, type Tone } from '../ui';
import { sayAction } from './audit';
import { isDiskLow } from './health';

interface Task { key: string; tone: Tone; icon: string; title: string; why: string; action: preact.ComponentChildren }

const see = (filter: string) => <LinkButton href={devices(filter)}>See them</LinkButton>;

function rolloutTasks(rollouts: Rollout[]): Task[] {
  return rollouts.filter((one) => one.status === 'paused' || one.status === 'waiting').map((one) => ({
    key: `rollout-${one.id}`, tone: 'bad' as Tone, icon: one.status === 'paused' ? 'pause' : 'wait',
    title: one.status === 'paused' ? `The rollout of ${one.product} ${one.version} is paused` : `The rollout of ${one.product} ${one.version} waits for approval`,
    why: one.note ?? (one.status === 'paused' ? 'Somebody paused it.' : 'Somebody else than its maker has to approve of it.'),
    action: <LinkButton href={to(`rollouts/${one.id}`)} kind="main">Decide</LinkButton>,
  }));
}

function productTasks(products: Product[], reload: () => void): Task[] {
  const start = async (name: string) => {
    if (!await ask(`Start ${name} again?`, { body: <p>Its devices are offered updates again.</p>, action: 'Start' })) return;
    if (await act(`${name} is started.`, () => api(`products/${encodeURIComponent(name)}`, { method: 'PATCH', body: { stopped: false } }))) reload();
  };
  return products.filter((one) => one.stopped).map((one) => ({
    key: `product-${one.name}`, tone: 'bad' as Tone, icon: 'stop', title: `${one.name} is stopped`,
    why: 'Emergency stop: no device of it is offered or sent anything.', action: <Button need="operate" of={one.name} onClick={() => void start(one.name)}>Start again</Button>,
  }));
}

/** What would keep the server itself from its work. */
function serverTasks(server: Server | null, status: Status | null): Task[] {
  const tasks: Task[] = [];
  const look = <LinkButton href={to('health')}>See it</LinkButton>;
  if (status && !status.store.ok) tasks.push({ key: 'store', tone: 'bad', icon: 'warn', title: 'The database takes no changes',
    why: `${status.store.why ?? 'It does not answer.'} Devices are answered from memory meanwhile.`, action: look });
  if (server && isDiskLow(server)) tasks.push({ key: 'disk', tone: 'bad', icon: 'warn', title: 'The disk is nearly full', why: `${bytes(server.disk.free)} left where the data is.`, action: look });
  return tasks;
}

const handled = new Set(['not-assigned', 'held', 'stopped', 'rollout-paused', 'pinned']);

function fleetTasks(view: View): Task[] {
  const { devices: n } = view;
  const tasks: Task[] = [];
  if (n.failed > 0) tasks.push({ key: 'failed', tone: 'bad', icon: 'fail', title: `${many(n.failed, 'device')} did not update`,
    why: `The last attempt failed or was rolled back${n.failed_day > 0 ? `, ${n.failed_day} in the last day` : ''}.`, action: see('state in (failed, rolled-back)') });
  if (n.unassigned > 0) tasks.push({ key: 'unassigned', tone: 'warn', icon: 'door', title: `${many(n.unassigned, 'device')} without a product`,
    why: 'They asked, and nobody has said what they are.', action: <LinkButton need="operate" href={to('enrolment')}>Assign</LinkButton> });
  for (const { reason, count: of } of view.reasons)
    if (['operator', 'maker', 'network', 'hardware'].includes(reason.who) && !handled.has(reason.id)) tasks.push({
      key: `reason-${reason.id}`, tone: 'warn', icon: 'warn', title: reason.sentence, why: `Last said of ${many(of, 'device')}.`, action: see(`reason = ${reason.id}`) });
  if (n.silent > 0) tasks.push({ key: 'silent', tone: 'calm', icon: 'wait', title: `${many(n.silent, 'device')} silent for a week`, why: 'Off, out of reach, or gone.', action: see('seen > 7d') });
  if (n.held > 0) tasks.push({ key: 'held', tone: 'calm', icon: 'hold', title: `${many(n.held, 'device')} held`, why: 'An operator said: offer nothing; or they wait for approval.', action: see('held = yes') });
  return tasks;
}

function Tasks({ tasks }: { tasks: Task[] }) {
  return <Panel title="Needs attention" class="flush">
    {tasks.length === 0
      ? <Empty title="Nothing needs you" icon="ok"><p>No failed update, no paused rollout, no device that waits.</p></Empty>
      : <ul class="tasks" style={{ marginTop: '0.6rem' }}>{tasks.map((task) => <li key={task.key} class={task.tone}>
        <Icon name={task.icon} /><div><b>{task.title}</b><p>{task.why}</p></div><div class="actions">{task.action}</div>
      </li>)}</ul>}
  </Panel>;
}

function Figures({ view, running }: { view: View; running: number }) {
  const { devices: n } = view;
  const figure = (value: string, words: string, href: string, tone = '') => <a class={tone} href={href}><b>{value}</b><span>{words}</span></a>;
  return <div class="figures" role="group" aria-label="The fleet in figures">
    {figure(count(n.total), n.total === 1 ? 'device' : 'devices', to('devices'))}
    {figure(count(n.seen_hour), 'seen in the last hour', devices('seen < 1h'))}
    {figure(percent(n.newest, n.judged), 'on the newest', to('releases'), n.judged > 0 && n.newest === n.judged ? 'good' : '')}
    {figure(count(n.updating), 'updating now', devices('state in (offered, downloading, downloaded, trial)'))}
    {figure(count(n.failed_day), 'failed in a day', devices('state in (failed, rolled-back)'), n.failed_day > 0 ? 'bad' : '')}
    {figure(count(running), running === 1 ? 'running rollout' : 'running rollouts', to('rollouts'))}
  </div>;
}

function Running({ rollouts }: { rollouts: Rollout[] }) {
  return <Panel title="Running rollouts">
    <ul class="rows">{rollouts.map((one) => {
      const good = one.counts.succeeded + one.counts.presumed;
      return <li key={one.id}>
        <div class="line"><a href={to(`rollouts/${one.id}`)}>{one.product} {one.version}</a><span class="dim">phase {one.phase} of {one.phases.length}</span></div>
        <Bar label={`Rollout of ${one.product} ${one.version}`} parts={[{ tone: 'good', n: good, name: 'updated' }, { tone: 'bad', n: one.counts.failed, name: 'failed' },
          { tone: 'busy', n: one.counts.open, name: 'open' }, { tone: 'calm', n: Math.max(0, one.counts.offered - good - one.counts.failed - one.counts.open), name: 'no result' }]} />
        <div class="dim">{many(one.counts.offered, 'device')} offered, {count(good)} updated, {count(one.counts.failed)} failed</div>
      </li>;
    })}</ul>
  </Panel>;
}

function Versions({ view }: { view: View }) {
  const top = view.versions.slice(0, 8);
  const rest = view.versions.slice(8).reduce((sum, one) => sum + one.count, 0);
  return <Panel title="What they run">
    <ul class="rows">
      {top.map((one) => {
        const filter = [one.product ? `product = ${quoted(one.product)}` : 'product = ""', one.version ? `version = ${quoted(one.version)}` : 'version = ""'].join(' and ');
        return <li key={`${one.product} ${one.version}`}>
          <div class="line"><a href={devices(filter)}>{one.product ?? 'no product'} {one.version ?? <span class="dim">version not known</span>}</a>
            <span>{count(one.count)} <span class="dim">{percent(one.count, view.devices.total)}</span></span></div>
          <Bar label={`${one.version ?? 'not known'}`} parts={[{ tone: versionTone(view, one), n: one.count, name: 'these' }, { tone: 'rest', n: view.devices.total - one.count, name: 'others' }]} />
        </li>;
      })}
      {rest > 0 && <li class="dim">and {many(rest, 'device')} with other versions</li>}
    </ul>
  </Panel>;
}

/** The last things that people and programs did here. */
function Lately() {
  const page = useLoad<AuditPage>('audit?limit=6', onRules);
  return <Panel title="Lately" actions={<a href={to('audit')}>All of it</a>}>
    <Load of={page} lines={4}>{({ entries }) => entries.length === 0 ? <p class="dim">Nothing was done yet.</p>
      : <ul class="rows">{entries.map((one) => <li key={one.seq} class="line"><span class="break">{one.who} <span class="dim">{sayAction(one.action)}{one.status >= 400 && ' (refused)'}</span></span>
        <span class="dim nowrap"><Ago ms={one.at_ms} /></span></li>)}</ul>}</Load>
  </Panel>;
}

export function Overview() {
  const view = useLoad<View>('overview', undefined, 3000);
  const rollouts = useLoad<{ rollouts: Rollout[] }>('rollouts', undefined, 3000);
  const products = useLoad<{ products: Product[] }>('products', onRules);
  const trends = useLoad<Trends>(canAll('view') ? 'trends' : null, () => false);
  const server = useLoad<Server>(canAll('view') ? 'server' : null, undefined, 15000);
  const status = useLoad<Status>(canAll('view') ? 'status' : null, undefined, 15000);
  return <Screen title="Overview">
    <Load of={both(view, both(rollouts, products))} lines={8}>{([data, [{ rollouts: all }, { products: named }]]) => {
      const running = all.filter((one) => one.status === 'running');
      return data.devices.total === 0 && named.length === 0
      ? <Panel><Empty title="Welcome" icon="chip"><p>This server has no release and no device yet. Three steps lead to the first update over the air.</p>
        <LinkButton kind="main" href={to('welcome')}>Begin</LinkButton></Empty></Panel>
      : <div class="stack">
        <Figures view={data} running={running.length} />
        <div class="cols wide-left">
          <div class="stack">
            <Tasks tasks={[...serverTasks(server.data, status.data), ...rolloutTasks(all), ...productTasks(named, products.reload), ...fleetTasks(data)]} />
            {canAll('view') && <Panel title="Versions over time"><Load of={trends}>{(past) => <SharesPlot trends={past} now={data} />}</Load></Panel>}
            {canAll('view') && <Panel title="Requests"><Load of={trends}>{(past) => <RatePlot trends={past} what="requests" />}</Load></Panel>}
          </div>
          <div class="stack">
            {running.length > 0 && <Running rollouts={running} />}
            {data.devices.total > 0 && <Versions view={data} />}
            {can('admin') && <Lately />}
          </div>
        </div>
      </div>;
    }}</Load>
  </Screen>;
}
