// overview.tsx - what a person looks at first: what needs attention and why, one click from acting; then the figures.
import { api } from '../api';
import { act, ask } from '../dialog';
import { count, many, percent, quoted } from '../format';
import { Load, onRules, useLoad } from '../load';
import { SharesPlot } from '../plots';
import { devices, to } from '../route';
import type { Overview as View, Product, Rollout, Trends } from '../types';
import { Bar, Button, Empty, Icon, LinkButton, Panel, Screen, type Tone } from '../ui';

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

const tones = ['good', 'busy', 'warn', 'calm'];
function Versions({ view }: { view: View }) {
  const top = view.versions.slice(0, 8);
  const rest = view.versions.slice(8).reduce((sum, one) => sum + one.count, 0);
  return <Panel title="What they run">
    <ul class="rows">
      {top.map((one, n) => {
        const filter = [one.product ? `product = ${quoted(one.product)}` : 'product = ""', one.version ? `version = ${quoted(one.version)}` : 'version = ""'].join(' and ');
        return <li key={`${one.product} ${one.version}`}>
          <div class="line"><a href={devices(filter)}>{one.product ?? 'no product'} {one.version ?? <span class="dim">version not known</span>}</a>
            <span>{count(one.count)} <span class="dim">{percent(one.count, view.devices.total)}</span></span></div>
          <Bar label={`${one.version ?? 'not known'}`} parts={[{ tone: tones[Math.min(n, 3)]!, n: one.count, name: 'these' }, { tone: 'rest', n: view.devices.total - one.count, name: 'others' }]} />
        </li>;
      })}
      {rest > 0 && <li class="dim">and {many(rest, 'device')} with other versions</li>}
    </ul>
  </Panel>;
}

export function Overview() {
  const view = useLoad<View>('overview', undefined, 3000);
  const rollouts = useLoad<{ rollouts: Rollout[] }>('rollouts', undefined, 3000);
  const products = useLoad<{ products: Product[] }>('products', onRules);
  const trends = useLoad<Trends>('trends', () => false);
  const running = (rollouts.data?.rollouts ?? []).filter((one) => one.status === 'running');
  return <Screen title="Overview">
    <Load of={view} lines={8}>{(data) => data.devices.total === 0 && (products.data?.products.length ?? 1) === 0
      ? <Panel><Empty title="Welcome" icon="chip"><p>This server has no release and no device yet. Three steps lead to the first update over the air.</p>
        <LinkButton kind="main" href={to('welcome')}>Begin</LinkButton></Empty></Panel>
      : <div class="stack">
        <Figures view={data} running={running.length} />
        <div class="cols wide-left">
          <div class="stack">
            <Tasks tasks={[...rolloutTasks(rollouts.data?.rollouts ?? []), ...productTasks(products.data?.products ?? [], products.reload), ...fleetTasks(data)]} />
            <Panel title="Versions over time"><Load of={trends}>{(all) => <SharesPlot trends={all} now={data} />}</Load></Panel>
          </div>
          <div class="stack">
            {running.length > 0 && <Running rollouts={running} />}
            {data.devices.total > 0 && <Versions view={data} />}
          </div>
        </div>
      </div>}</Load>
  </Screen>;
}
