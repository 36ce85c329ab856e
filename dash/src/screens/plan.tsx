// plan.tsx - the editor of a rollout, which shows, while it is written, whom each phase would reach and who the first ones are.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { api, ApiError, query, text } from '../api';
import { act } from '../dialog';
import { count, mac, many } from '../format';
import { both, Load, onRules, useLoad } from '../load';
import { device, go, type Route, to } from '../route';
import type { Preview, Release, Rollout } from '../types';
import { Button, Empty, Field, Icon, LinkButton, Panel, Screen } from '../ui';

interface PhaseDraft { key: number; percent: string; filter: string }
interface Draft {
  release: string; phases: PhaseDraft[]; target: string; window: string; start: string;
  success: string; successPercent: string; soak: string; errors: string; errorPercent: string; timeout: string; retries: string; open: string; presumed: boolean;
}

let keys = 0;
const phase = (percent: string, filter = ''): PhaseDraft => ({ key: ++keys, percent, filter });
const PHASES_MAX = 8;
const number = (words: string): number | undefined => (words.trim() === '' ? undefined : Number(words));

/** A salt of our own, so that the devices of the preview are those of the rollout. */
const newSalt = (): number => 1 + Math.floor(Math.random() * 2147483646);

function bodyOf(draft: Draft, salt: number) {
  const hours = number(draft.soak), minutes = number(draft.timeout);
  return {
    release: Number(draft.release), salt,
    phases: draft.phases.map((one) => ({ percent: Number(one.percent || '0'), filter: one.filter.trim() || null })),
    target: draft.target.trim() || null, window: draft.window.trim() || null,
    start_ms: draft.start ? new Date(draft.start).getTime() : undefined,
    success_count: number(draft.success), success_percent: number(draft.successPercent), soak_s: hours === undefined ? undefined : Math.round(hours * 3600),
    error_count: number(draft.errors), error_percent: number(draft.errorPercent), timeout_s: minutes === undefined ? undefined : Math.round(minutes * 60),
    retries: number(draft.retries), max_open: number(draft.open), presumed_counts: draft.presumed,
  };
}

type Body = ReturnType<typeof bodyOf>;

/** wrong: what is written cannot be; problem alone: it may be asked again. */
interface Previewed { preview: Preview | null; problem: string | null; wrong: boolean }

function usePreview(body: Body): Previewed & { again: () => void } {
  const [state, setState] = useState<Previewed>({ preview: null, problem: null, wrong: false });
  const [tick, setTick] = useState(0);
  const asked = JSON.stringify(body);
  useEffect(() => {
    if (!body.release) { setState({ preview: null, problem: null, wrong: false }); return undefined; }
    const abort = new AbortController();
    const timer = window.setTimeout(() => {
      api<Preview>('rollout-preview', { body: JSON.parse(asked) as unknown, signal: abort.signal }).then(
        (preview) => setState({ preview, problem: null, wrong: false }),
        (error: unknown) => { if (!(error instanceof DOMException)) setState({ preview: null, problem: error instanceof ApiError && error.detail ? error.detail : text(error), wrong: error instanceof ApiError && error.status === 400 }); });
    }, 300);
    return () => { window.clearTimeout(timer); abort.abort(); };
  }, [asked, tick]);
  return { ...state, again: () => setTick((n) => n + 1) };
}

function PhaseEditor({ draft, set }: { draft: Draft; set: (part: Partial<Draft>) => void }) {
  const change = (key: number, part: Partial<PhaseDraft>) => set({ phases: draft.phases.map((one) => (one.key === key ? { ...one, ...part } : one)) });
  return <Panel title="Phases" actions={<Button disabled={draft.phases.length >= PHASES_MAX} onClick={() => set({ phases: [...draft.phases, phase('100')] })}>Add a phase</Button>}>
    <div class="form">{draft.phases.map((one, n) => <div class="phase-edit" key={one.key} role="group" aria-label={`Phase ${n + 1}`}>
      <Field label={`Phase ${n + 1}`}><input type="number" min="0" max="100" step="0.01" value={one.percent} onInput={(event) => change(one.key, { percent: event.currentTarget.value })} /></Field>
      <Field label="% of the devices with"><input type="text" class="mono" placeholder="any; or: tag = canary" spellcheck={false} autocapitalize="off" value={one.filter} onInput={(event) => change(one.key, { filter: event.currentTarget.value })} /></Field>
      <Button kind="plain" icon="fail" aria-label={`Remove phase ${n + 1}`} disabled={draft.phases.length < 2} onClick={() => set({ phases: draft.phases.filter((other) => other.key !== one.key) })} />
    </div>)}</div>
  </Panel>;
}

function PreviewPanel({ draft, preview, problem, wrong, again }: { draft: Draft } & ReturnType<typeof usePreview>) {
  return <Panel title="Whom it reaches now">
    {problem && !wrong && <div class="empty" role="alert"><Icon name="warn" /><strong>This could not be counted</strong><p>{problem}</p><Button onClick={again}>Try again</Button></div>}
    {problem && wrong && <p class="note bad" role="alert"><Icon name="fail" /> {problem}</p>}
    {!problem && !preview && <p class="dim">{draft.release ? 'Counting …' : 'Choose a release.'}</p>}
    {preview && <div aria-live="polite">
      <p class="dim" style={{ marginBottom: '0.7rem' }}>{many(preview.targeted, 'device')} of {count(preview.product_devices)} of the product {preview.targeted === 1 ? 'is' : 'are'} meant.</p>
      <ol class="phases">{preview.phases.map((one, n) => <li key={draft.phases[n]?.key ?? n} class={n === 0 ? 'now' : ''}>
        <span class="no">{n + 1}</span>
        <div><b>{many(one.devices, 'device')}</b>{n > 0 && <span class="dim"> {one.added > 0 ? `${count(one.added)} more` : 'no more'}</span>}
          {one.sample.length > 0 && <div class="dim">{n === 0 ? 'First: ' : ''}{one.sample.slice(0, n === 0 ? 8 : 3).map((id, at) => <>{at > 0 && ', '}<a class="mono" href={device(id)}>{mac(id)}</a></>)}{one.added > (n === 0 ? 8 : 3) && ' …'}</div>}
          {n === 0 && one.devices === 0 && <div class="dim">Nobody begins: widen the first phase, or tag some devices.</div>}
        </div><span />
      </li>)}</ol>
    </div>}
  </Panel>;
}

function RuleEditor({ draft, set }: { draft: Draft; set: (part: Partial<Draft>) => void }) {
  const input = (name: keyof Draft, label: string, hint: string, props: Record<string, unknown> = {}) => <Field label={label} hint={hint}>
    <input type="number" min="0" value={draft[name] as string} {...props} onInput={(event) => set({ [name]: event.currentTarget.value } as Partial<Draft>)} /></Field>;
  return <Panel title="Rules"><div class="form">
    <div class="pair">
      {input('success', 'A phase ends after', 'successes; empty: only when you say so')}
      {input('successPercent', '… which are, %', 'of the devices offered', { max: 100 })}
      {input('soak', '… and rest of, hours', 'after the last success', { step: 'any' })}
    </div>
    <div class="pair">
      {input('errors', 'It pauses itself from', 'results on')}
      {input('errorPercent', '… when more fail than, %', 'of them', { max: 100 })}
      {input('timeout', 'No result fails after, min', '0: never', { step: 'any' })}
    </div>
    <div class="pair">
      {input('retries', 'Retries a device', 'after a failure')}
      {input('open', 'Devices at a time', 'empty: any number')}
      <Field label="Window" hint="mon-fri 01:00-04:00 Europe/Berlin; empty: any time"><input type="text" value={draft.window} onInput={(event) => set({ window: event.currentTarget.value })} /></Field>
    </div>
    <div class="pair">
      <Field label="Only devices with" hint="a filter over the whole rollout"><input type="text" class="mono" spellcheck={false} value={draft.target} onInput={(event) => set({ target: event.currentTarget.value })} /></Field>
      <Field label="Begins" hint="empty: at once"><input type="datetime-local" value={draft.start} onInput={(event) => set({ start: event.currentTarget.value })} /></Field>
    </div>
    <label class="switch"><input type="checkbox" checked={draft.presumed} onChange={(event) => set({ presumed: event.currentTarget.checked })} />
      <span>A presumed update is a success<small>For stock sketches that only read a version file and cannot report.</small></span></label>
  </div></Panel>;
}

export function Plan({ route }: { route: Route }) {
  const releases = useLoad<{ releases: Release[] }>('releases', onRules);
  const rollouts = useLoad<{ rollouts: Rollout[] }>('rollouts', onRules);
  const [draft, setDraft] = useState<Draft>({
    release: route.params.get('release') ?? '', phases: [phase('100', 'tag = canary'), phase('10'), phase('100')], target: '', window: '', start: '',
    success: '5', successPercent: '90', soak: '1', errors: '3', errorPercent: '20', timeout: '60', retries: '1', open: '', presumed: false,
  });
  const [salt] = useState(newSalt);
  const [refusal, setRefusal] = useState<string | null>(null);
  const set = (part: Partial<Draft>) => setDraft((was) => ({ ...was, ...part }));
  const body = useMemo(() => bodyOf(draft, salt), [draft, salt]);
  const preview = usePreview(body);
  const taken = new Set((rollouts.data?.rollouts ?? []).filter((one) => one.status !== 'aborted').map((one) => one.release));
  const free = (releases.data?.releases ?? []).filter((one) => !one.yanked && !taken.has(one.id)).sort((a, b) => b.created_ms - a.created_ms);
  const start = async (event: Event) => {
    event.preventDefault();
    setRefusal(null);
    try {
      const made = await api<Rollout>(`rollouts${query({})}`, { body });
      void act(made.status === 'waiting' ? 'Made; somebody else has to approve of it.' : 'The rollout has begun.', () => Promise.resolve());
      go(to(`rollouts/${made.id}`));
    } catch (error) { setRefusal(text(error)); }
  };
  const back = { href: to('rollouts'), text: 'Rollouts' };
  if (releases.data && free.length === 0 && !draft.release) return <Screen title="New rollout" back={back}><Panel>
    <Empty title="No release is free to roll out" icon="box"><p>Each release has one rollout. Publish a new version, or abort the rollout of an old one.</p>
      <LinkButton kind="main" href={to('releases/new')}>Publish a release</LinkButton></Empty></Panel></Screen>;
  if (!releases.data || !rollouts.data) return <Screen title="New rollout" back={back}><Panel><Load of={both(releases, rollouts)} lines={8}>{() => null}</Load></Panel></Screen>;
  return <Screen title="New rollout" back={back} sub="To a few devices first, to more when it went well, to none when it did not.">
    <form class="cols wide-left" onSubmit={(event) => void start(event)}>
      <div class="stack">
        <Panel><Field label="Release"><select value={draft.release} required onChange={(event) => set({ release: event.currentTarget.value })}>
          <option value="">Choose …</option>
          {free.map((one) => <option key={one.id} value={one.id}>{one.product} {one.version} ({one.channel})</option>)}
          {draft.release && !free.some((one) => String(one.id) === draft.release) && <option value={draft.release}>release {draft.release}</option>}
        </select></Field></Panel>
        <PhaseEditor draft={draft} set={set} />
        <RuleEditor draft={draft} set={set} />
        {refusal && <p class="note bad" role="alert">{refusal}</p>}
        <div class="actions"><Button kind="main" icon="play" type="submit" disabled={!draft.release || preview.wrong}>Start the rollout</Button><LinkButton href={to('rollouts')}>Cancel</LinkButton></div>
      </div>
      <PreviewPanel draft={draft} {...preview} />
    </form>
  </Screen>;
}
