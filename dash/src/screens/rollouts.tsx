// rollouts.tsx - the list of rollouts, and the page of one that runs: phases, figures, failures by reason, and a person's orders.
import { api, query } from '../api';
import { act, ask } from '../dialog';
import { count, duration, many, moment, percent } from '../format';
import { Load, onRules, useLoad } from '../load';
import { Paged } from '../pager';
import { ProgressPlot } from '../plots';
import { devices, to } from '../route';
import { can, session } from '../session';
import type { Counts, Progress, Rollout } from '../types';
import { Ago, Badge, Bar, Button, Empty, Fact, Icon, LinkButton, Panel, Screen, State } from '../ui';

export function parts(one: Rollout) {
  const { offered, open, succeeded, presumed, failed } = one.counts;
  return [{ tone: 'good', n: succeeded + presumed, name: 'updated' }, { tone: 'bad', n: failed, name: 'failed' }, { tone: 'busy', n: open, name: 'at it' },
    { tone: 'calm', n: Math.max(0, offered - succeeded - presumed - failed - open), name: 'without a counted result' }];
}

const phaseText = (phase: { percent: number; filter: string | null }): string =>
  [phase.percent >= 100 && phase.filter ? 'all' : `${phase.percent} %`, phase.filter ? `of ${phase.filter}` : phase.percent >= 100 ? 'of all' : ''].filter(Boolean).join(' ');

export function Rollouts() {
  const rollouts = useLoad<{ rollouts: Rollout[] }>('rollouts', undefined, 2500);
  const order = ['paused', 'waiting', 'running', 'done', 'aborted'];
  return <Screen title="Rollouts" actions={<LinkButton need="operate" kind="main" icon="steps" href={to('rollouts/new')}>New rollout</LinkButton>}>
    <Panel class="flush">
      <Load of={rollouts} lines={8}>{({ rollouts: all }) => all.length === 0
        ? <Empty title="No rollout yet" icon="steps"><p>A rollout lets a release out in phases: to a few devices first, to more when it went well, to none when it did not.</p>
          <LinkButton need="operate" kind="main" href={to('rollouts/new')}>Plan the first one</LinkButton></Empty>
        : <Paged all={[...all].sort((a, b) => order.indexOf(a.status) - order.indexOf(b.status) || b.id - a.id)}>{(rows) => <div class="table-wrap"><table>
          <thead><tr><th scope="col">Rollout</th><th scope="col">Status</th><th scope="col" class="wide">Phase</th><th scope="col" class="wide">Progress</th><th scope="col" class="num">Failed</th></tr></thead>
          <tbody>{rows.map((one) => <tr key={one.id}>
            <td><a class="main" data-row href={to(`rollouts/${one.id}`)}>{one.product} {one.version}</a><span class="second">no. {one.id} · <Ago ms={one.created_ms} /></span></td>
            <td><State of={one.status} />{one.note && <span class="second">{one.note}</span>}</td>
            <td class="wide">{one.phase} of {one.phases.length}<span class="second">{phaseText(one.phases[one.phase - 1] ?? { percent: 100, filter: null })}</span></td>
            <td class="wide" style={{ minWidth: '11rem' }}><Bar label="Progress" parts={parts(one)} /><span class="second">{many(one.counts.offered, 'device')} offered, {count(one.counts.succeeded + one.counts.presumed)} updated</span></td>
            <td class="num">{count(one.counts.failed)}</td>
          </tr>)}</tbody>
        </table></div>}</Paged>}</Load>
    </Panel>
  </Screen>;
}

function Orders({ one, reload }: { one: Rollout; reload: () => void }) {
  const order = (what: string, said: string, back?: string) =>
    act(said, () => api(`rollouts/${one.id}/${what}`, { method: 'POST' }), back ? () => api(`rollouts/${one.id}/${back}`, { method: 'POST' }).then(reload) : undefined).then(reload);
  const next = async () => {
    const isLast = one.phase >= one.phases.length;
    const body = isLast ? <p>Every phase has ended then; the release stays on offer to all of them, under the same error rule.</p>
      : <p>Phase {one.phase + 1} begins at once: {phaseText(one.phases[one.phase]!)}. A phase cannot be taken back; the rollout can be paused.</p>;
    if (await ask(isLast ? 'Finish this rollout?' : `Go on to phase ${one.phase + 1}?`, { body, action: isLast ? 'Finish' : 'Go on' })) await order('next', isLast ? 'The rollout is done.' : `Phase ${one.phase + 1} has begun.`);
  };
  const abort = async () => {
    if (await ask('Abort this rollout?', { body: <p>For good: its release is offered to nobody. Devices that run it keep it. Another rollout may be made afterwards.</p>, action: 'Abort', bad: true })) await order('abort', 'The rollout is aborted.');
  };
  const resume = async () => {
    const failed = one.counts.failed;
    if (failed > 0 && !await ask('Resume?', { body: <p>{many(failed, 'failure')} so far {failed === 1 ? 'is' : 'are'} acknowledged: {failed === 1 ? 'it pauses' : 'they pause'} it no more.</p>, action: 'Resume' })) return;
    await order('resume', 'The rollout goes on.', 'pause');
  };
  return <>
    {one.status === 'waiting' && one.created_by === session().who && <span class="dim">You made it: somebody else approves.</span>}
    {one.status === 'waiting' && one.created_by !== session().who && <Button need="approve" of={one.product} kind="main" icon="ok" onClick={() => void order('approve', 'Approved.')}>Approve</Button>}
    {one.status === 'paused' && <Button need="operate" of={one.product} kind="main" icon="play" onClick={() => void resume()}>Resume</Button>}
    {(one.status === 'running' || one.status === 'done') && <Button need="operate" of={one.product} icon="pause" onClick={() => void order('pause', 'Paused: nothing is offered.', 'resume')}>Pause</Button>}
    {one.status === 'running' && <Button need="operate" of={one.product} icon="next" onClick={() => void next()}>{one.phase < one.phases.length ? 'Next phase' : 'Finish'}</Button>}
    {one.status !== 'aborted' && (can('operate', one.product) || can('approve', one.product)) && <Button kind="bad" icon="stop" onClick={() => void abort()}>Abort</Button>}
  </>;
}

function Phases({ one }: { one: Rollout }) {
  return <Panel title="Phases"><ol class="phases">{one.phases.map((phase, n) => {
    const no = n + 1, ended = no < one.phase || one.status === 'done', now = no === one.phase && !ended && one.status !== 'aborted';
    return <li key={no} class={now ? 'now' : ''} aria-current={now ? 'step' : undefined}>
      <span class="no">{ended ? <Icon name="ok" /> : no}</span>
      <div>{phase.percent >= 100 ? 'All' : `${phase.percent} %`}{phase.filter && <> of <code>{phase.filter}</code></>}{!phase.filter && phase.percent < 100 && ' of the devices'}
        {now && <div class="dim">since <Ago ms={one.phase_since_ms} /></div>}</div>
      {now ? <Badge tone="busy">now</Badge> : ended ? <Badge tone="good">ended</Badge> : <span class="dim">later</span>}
    </li>;
  })}</ol></Panel>;
}

function Rules({ one }: { one: Rollout }) {
  const { rules } = one;
  return <Panel title="Rules"><dl class="facts">
    <Fact name="A phase ends after">{rules.success_count > 0 ? `${many(rules.success_count, 'success', 'successes')}${rules.success_percent > 0 ? `, ${rules.success_percent} % of those offered` : ''}${rules.soak_s > 0 ? `, and ${duration(rules.soak_s)} of rest` : ''}` : 'a person says so'}</Fact>
    <Fact name="It pauses by itself at">{rules.error_count > 0 ? `${many(rules.error_count, 'result')} of which more than ${rules.error_percent} % failed` : 'no number of failures'}</Fact>
    <Fact name="No result is a failure after">{rules.timeout_s > 0 ? duration(rules.timeout_s) : 'never'}</Fact>
    <Fact name="Retries a device">{rules.retries > 0 ? `${rules.retries}, the first after ${duration(rules.retry_s)}` : 'none'}</Fact>
    <Fact name="Devices at a time">{rules.max_open > 0 ? count(rules.max_open) : 'any number'}</Fact>
    <Fact name="Presumed updates">{rules.presumed_counts ? 'count' : 'do not count'}</Fact>
    <Fact name="For">{one.target ? <code>{one.target}</code> : 'every device of the product'}</Fact>
    <Fact name="Window">{one.window ?? 'at any time'}</Fact>
    {one.start_ms !== null && <Fact name="Begins">{moment(one.start_ms)}</Fact>}
    <Fact name="Made by">{one.created_by ?? 'not known'}{one.approved_by && `, approved by ${one.approved_by}`}</Fact>
    {can('admin', one.product) && <Fact name="Orders"><a href={to('audit', { q: `/rollouts/${one.id}/` })}>who gave which, and when</a></Fact>}
  </dl></Panel>;
}

function Failures({ one }: { one: Rollout }) {
  const filter = `rollout = ${one.id} and state in (failed, rolled-back)`;
  const groups = useLoad<Counts>(one.counts.failed > 0 ? `device-counts${query({ by: 'failure', filter })}` : null, undefined, 2500);
  return <Panel title="Failures by reason">
    {one.counts.failed === 0
      ? <p class="dim">None so far.</p>
      : <Load of={groups} lines={3}>{({ groups: all }) => <ul class="rows">{all.map((group) => <li key={group.value}>
        <div class="line"><span>{group.reason?.sentence ?? group.value ?? 'no reason given'}</span><b>{count(group.count)}</b></div>
        <Bar label={group.value ?? ''} parts={[{ tone: 'bad', n: group.count, name: 'these' }, { tone: 'rest', n: Math.max(0, one.counts.failed - group.count), name: 'others' }]} />
      </li>)}
      {all.length === 0 && <li class="dim">Those that failed have moved on to something else.</li>}
      <li><a href={devices(filter)}>See the devices</a></li></ul>}</Load>}
  </Panel>;
}

function Figures({ one }: { one: Rollout }) {
  const { offered, open, succeeded, presumed, failed } = one.counts;
  const filter = (and: string) => devices(`rollout = ${one.id}${and}`);
  const hours = (Date.now() - one.created_ms) / 3600000;
  return <div class="figures" role="group" aria-label="This rollout in figures">
    <a href={filter('')}><b>{count(offered)}</b><span>offered</span></a>
    <a href={filter(' and state in (offered, downloading, downloaded, trial)')}><b>{count(open)}</b><span>at it now</span></a>
    <a class={succeeded + presumed > 0 ? 'good' : ''} href={filter(' and state in (updated, presumed)')}><b>{count(succeeded + presumed)}</b><span>updated{presumed > 0 && `, ${count(presumed)} presumed`}</span></a>
    <a class={failed > 0 ? 'bad' : ''} href={filter(' and state in (failed, rolled-back)')}><b>{count(failed)}</b><span>failed, {percent(failed, succeeded + presumed + failed)}</span></a>
    <div><b>{hours > 0.02 && succeeded + presumed > 0 ? ((succeeded + presumed) / hours).toFixed(hours > 10 ? 1 : 0) : '–'}</b><span>updated an hour</span></div>
  </div>;
}

export function RolloutPage({ id }: { id: string }) {
  const rollout = useLoad<Rollout>(`rollouts/${encodeURIComponent(id)}`, undefined, 2000);
  const progress = useLoad<Progress>(`rollouts/${encodeURIComponent(id)}/progress`, onRules);
  const one = rollout.data;
  const back = { href: to('rollouts'), text: 'Rollouts' };
  if (rollout.status === 404) return <Screen title="No such rollout" back={back}><Panel><Empty title="There is no such rollout" icon="steps" /></Panel></Screen>;
  return <Screen title={one ? `${one.product} ${one.version}` : 'Rollout'} back={back} actions={one && <Orders one={one} reload={rollout.reload} />}
    sub={one && <span class="badges"><State of={one.status} /><span>rollout {one.id} of <a href={to(`releases/${one.release}`)}>release {one.version}</a>, made <Ago ms={one.created_ms} /></span></span>}>
    <Load of={rollout} lines={8}>{(data) => <div class="stack">
      {data.note && <p class={`note ${data.status === 'aborted' ? 'bad' : 'warn'}`} role="status"><Icon name="warn" /> {data.note}</p>}
      <Figures one={data} />
      <Bar label="Progress" parts={parts(data)} />
      <div class="cols wide-left">
        <div class="stack"><Phases one={data} /><Panel title="Progress"><Load of={progress}>{(all) => <ProgressPlot progress={all} />}</Load></Panel></div>
        <div class="stack"><Failures one={data} /><Rules one={data} /></div>
      </div>
    </div>}</Load>
  </Screen>;
}
