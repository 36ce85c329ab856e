// plots.tsx - lines over time (uPlot), each with its figures as a table for those who do not see them. Colours come from the
// theme; the newest point is always now.
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { bytes, count, moment } from './format';
import type { Overview, Progress, Trends } from './types';
import { Empty } from './ui';

interface Line { name: string; tone: string; values: (number | null)[] }
interface Look { format: (n: number) => string; filled: boolean; fractions: boolean }

const css = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const second = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const when = (ticks: number[], step: number): string[] =>
  ticks.map((t) => (step >= 86400 || new Date(t * 1000).getHours() + new Date(t * 1000).getMinutes() === 0 ? day : step < 60 ? second : clock).format(t * 1000));

/** Whole things have whole ticks. */
const whole = Array.from({ length: 9 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat();

function options(lines: Line[], width: number, { filled, format, fractions }: Look): uPlot.Options {
  const axis = { stroke: css('--soft'), grid: { stroke: css('--line'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
  return {
    width, height: 190, cursor: { y: false, points: { size: 6 } }, legend: { show: true, live: true },
    hooks: { setCursor: [(plot) => { if ((plot.cursor.left ?? -1) < 0) plot.setLegend({ idx: plot.data[0].length - 1 }, false); }] }, // nobody points: now
    scales: { y: { range: (_, __, max) => [0, Math.max(1, max * 1.05)] } },
    axes: [{ ...axis, space: 90, values: (_, ticks, __, ___, step) => when(ticks, step) }, { ...axis, size: 62, ...(fractions ? {} : { incrs: whole }), values: (_, ticks) => ticks.map(format) }],
    series: [{ label: 'At', value: (_, t) => (t === null ? '–' : moment(t * 1000)) }, ...lines.map((line) => ({
      label: line.name, stroke: css(line.tone), width: 2, points: { show: false }, value: (_: uPlot, n: number | null) => (n === null ? '–' : format(n)),
      ...(filled ? { fill: `${css(line.tone)}22` } : {}),
    }))],
  };
}

export function Plot({ times, lines, label, format = count, filled = false, fractions = false }: { times: number[]; lines: Line[]; label: string } & Partial<Look>) {
  const box = useRef<HTMLDivElement>(null);
  const [theme, setTheme] = useState(0);
  useEffect(() => {
    const turned = () => setTheme((n) => n + 1);
    window.addEventListener('molt-theme', turned);
    return () => window.removeEventListener('molt-theme', turned);
  }, []);
  useEffect(() => {
    const node = box.current!;
    const data = [times.map((ms) => ms / 1000), ...lines.map((line) => line.values)] as uPlot.AlignedData;
    const plot = new uPlot(options(lines, Math.max(200, node.clientWidth), { filled, format, fractions }), data, node);
    plot.setLegend({ idx: times.length - 1 }, false);
    const resize = new ResizeObserver(() => plot.setSize({ width: Math.max(200, node.clientWidth), height: 190 }));
    resize.observe(node);
    return () => { resize.disconnect(); plot.destroy(); };
  }, [times, lines, filled, theme]);
  const last = times.length - 1;
  return <figure>
    <div class="plot" ref={box} aria-hidden="true" />
    <figcaption class="visually-hidden">{label}. Now: {lines.map((line) => `${line.name} ${format(line.values[last] ?? 0)}`).join(', ')}</figcaption>
  </figure>;
}

/** Colours of versions, the most frequent first; the same in the plot and in bars. */
const tones = ['good', 'busy', 'warn', 'calm'];
const known = (now: Overview) => now.versions.filter((one) => one.version !== null);
export function versionTone(now: Overview, one: { product: string | null; version: string | null }): string {
  const at = known(now).findIndex((other) => other.product === one.product && other.version === one.version);
  return tones[at < 0 ? 3 : Math.min(at, 3)]!;
}

/** The largest versions over the last 30 days, and now. */
export function SharesPlot({ trends, now }: { trends: Trends; now: Overview }) {
  const { shares } = trends;
  const key = (one: { product: string | null; version: string | null }) => `${one.product ?? 'no product'} ${one.version ?? '?'}`;
  const top = known(now).slice(0, 4);
  if (shares.times_ms.length < 1 || top.length === 0)
    return <Empty title="Nothing to draw yet" icon="pulse"><p>The shares are noted once an hour; come back in a while.</p></Empty>;
  const times = [...shares.times_ms, Math.max(now.now_ms, (shares.times_ms[shares.times_ms.length - 1] ?? 0) + 1000)];
  const lines = top.map((one, n): Line => {
    const before = shares.series.find((series) => key(series) === key(one));
    return { name: key(one), tone: `--${tones[n]!}-bar`, values: [...(before?.counts ?? shares.times_ms.map(() => 0)), one.count] };
  });
  return <Plot times={times} lines={lines} label="Devices by version over time" />;
}

export function RatePlot({ trends, what }: { trends: Trends; what: 'requests' | 'bytes' }) {
  const { rates } = trends;
  const values = rates[what];
  if (values.length < 2) return <Empty title="Nothing to draw yet" icon="pulse"><p>A point a minute, beginning now.</p></Empty>;
  const format = what === 'bytes' ? (n: number) => `${bytes(Math.round(n))}/s` : (n: number) => `${n < 10 ? n.toFixed(1) : count(Math.round(n))}/s`;
  return <Plot filled fractions times={rates.times_ms} label={what === 'bytes' ? 'Bytes sent' : 'Requests'} format={format}
    lines={[{ name: what === 'bytes' ? 'sent' : 'requests', tone: '--good-bar', values }]} />;
}

export function ProgressPlot({ progress }: { progress: Progress }) {
  if (progress.times_ms.length < 2) return <Empty title="Nothing to draw yet" icon="pulse"><p>A point a minute, from its start.</p></Empty>;
  return <Plot times={progress.times_ms} label="Progress of the rollout" lines={[
    { name: 'offered', tone: '--busy-bar', values: progress.offered },
    { name: 'updated', tone: '--good-bar', values: progress.succeeded },
    { name: 'failed', tone: '--bad-bar', values: progress.failed },
  ]} />;
}
