// ui.tsx - the pieces that every screen is made of. Text that a device said is only ever a text node or an attribute.
import type { ComponentChildren, JSX } from 'preact';
import { encode } from 'uqr';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ago, both } from './format';
import { can, type Need } from './session';
import type { Reason } from './api';

const paths: Record<string, string> = {
  ok: 'M3.5 8.5l3 3 6-7', fail: 'M4.5 4.5l7 7m0-7l-7 7', warn: 'M8 2.5l6 11H2zM8 6.5v3.2M8 11.6v.2',
  wait: 'M8 4.5V8l2.5 2M8 2a6 6 0 100 12A6 6 0 008 2z', back: 'M6 4L3 7l3 3M3 7h6.5a3 3 0 010 6H7',
  pause: 'M5.5 3.5v9M10.5 3.5v9', play: 'M5 3.5l7 4.5-7 4.5z', stop: 'M4 4h8v8H4z', next: 'M4 3.5l6 4.5-6 4.5zM12 3.5v9',
  hold: 'M5 7V5a3 3 0 016 0v2M4 7h8v6H4z', search: 'M7 2.5a4.5 4.5 0 100 9 4.5 4.5 0 000-9zM10.5 10.5L14 14',
  menu: 'M2.5 4.5h11M2.5 8h11M2.5 11.5h11', up: 'M8 13V3m-4 4l4-4 4 4', right: 'M6 3.5L10.5 8 6 12.5', none: 'M4 8h8',
  home: 'M2.5 8L8 3l5.5 5M4 7v6h8V7', chip: 'M4.5 4.5h7v7h-7zM6.5 2v2.5m3-2.5v2.5m-3 7V14m3-2.5V14M2 6.5h2.5M2 9.5h2.5m7-3H14m-2.5 3H14',
  box: 'M2.5 5L8 2l5.5 3v6L8 14l-5.5-3zM2.5 5L8 8l5.5-3M8 8v6', steps: 'M2.5 13.5h3v-4h4v-4h4v-3', door: 'M3 14V2.5h7V14M3 14h10M8 8v.3M10 5h3v9',
  gear: 'M8 5.7a2.3 2.3 0 100 4.6 2.3 2.3 0 000-4.6zM8 1.8v2M8 12.2v2M1.8 8h2M12.2 8h2M3.6 3.6L5 5M11 11l1.4 1.4M12.4 3.6L11 5M5 11l-1.4 1.4',
  pulse: 'M1.5 8.5h3l2-5 3 9 2-4h3', copy: 'M5.5 5.5h8v8h-8zM3 10.5H2.5v-8h8V3', moon: 'M12.5 9.5A5 5 0 016.5 3.5a5 5 0 106 6z',
  out: 'M6 3H3v10h3M7 8h7m-3-3l3 3-3 3', tag: 'M2.5 2.5h5l6 6-5 5-6-6zM5.3 5.3v.1', more: 'M3.5 8h.1M8 8h.1M12.5 8h.1',
  person: 'M8 2.5a2.6 2.6 0 100 5.2 2.6 2.6 0 000-5.2zM3 13.5c.4-2.6 2.4-4 5-4s4.6 1.4 5 4', list: 'M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4h.1M2.5 8h.1M2.5 12h.1',
  layers: 'M8 2.2l6 3.1-6 3.1-6-3.1zM2 8.2l6 3.1 6-3.1M2 11.2l6 3.1 6-3.1', bell: 'M4 11.5V7a4 4 0 018 0v4.5M2.5 11.5h11M6.8 14h2.4',
  people: 'M6 3a2.2 2.2 0 100 4.4A2.2 2.2 0 006 3zM2 13c.3-2.3 2-3.6 4-3.6s3.7 1.3 4 3.6M10.6 3.3a2.2 2.2 0 010 4M11.8 9.8c1.3.5 2.1 1.6 2.3 3.2',
};

export function Icon({ name }: { name: string }) {
  return <svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d={paths[name] ?? paths['none']!} /></svg>;
}

type ButtonProps = JSX.ButtonHTMLAttributes<HTMLButtonElement> & { kind?: 'main' | 'bad' | 'plain'; icon?: string; busy?: boolean; need?: Need; of?: string | null | undefined };
/** need: it is there for who may that, with things of the product `of`; left out: of any. */
export function Button({ kind, icon, busy, need, of, children, disabled, ...rest }: ButtonProps) {
  if (need && !can(need, of)) return null;
  return <button type="button" {...rest} class={`button ${kind ?? ''}`} disabled={Boolean(disabled) || Boolean(busy)} aria-busy={busy ? 'true' : undefined}>
    {icon && <Icon name={icon} />}{children}
  </button>;
}

export function LinkButton({ href, kind, icon, need, of, children }: { href: string; kind?: 'main'; icon?: string; need?: Need; of?: string | null; children: ComponentChildren }) {
  if (need && !can(need, of)) return null;
  return <a class={`button ${kind ?? ''}`} href={href}>{icon && <Icon name={icon} />}{children}</a>;
}

export function Screen({ title, sub, actions, back, children }: {
  title: ComponentChildren; sub?: ComponentChildren; actions?: ComponentChildren; back?: { href: string; text: string }; children: ComponentChildren;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    // a new screen is read from its title on; the first one leaves the focus to the person
    if (document.activeElement && document.activeElement !== document.body) heading.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, []);
  useEffect(() => {
    const name = heading.current?.textContent ?? '';
    document.title = name ? `${name} · molt` : 'molt';
  });
  return <>
    <div class="head">
      <div>
        {back && <a class="back" href={back.href}>← {back.text}</a>}
        <h1 ref={heading} tabIndex={-1}>{title}</h1>
        {sub && <div class="sub">{sub}</div>}
      </div>
      {actions && <div class="actions">{actions}</div>}
    </div>
    {children}
  </>;
}

export function Panel({ title, actions, children, class: name = '' }: {
  title?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren; class?: string;
}) {
  return <section class={`panel ${name}`}>
    {(title || actions) && <header><h2>{title}</h2>{actions && <div class="actions">{actions}</div>}</header>}
    {children}
  </section>;
}

export function Empty({ title, children, icon = 'none' }: { title: string; children?: ComponentChildren; icon?: string }) {
  return <div class="empty"><Icon name={icon} /><strong>{title}</strong>{children}</div>;
}

let clock = Date.now();
const clockWatchers = new Set<() => void>();
window.setInterval(() => { clock = Date.now(); clockWatchers.forEach((watcher) => watcher()); }, 10000);
export function useNow(): number {
  const [, set] = useState(0);
  useEffect(() => {
    const watcher = () => set((n) => n + 1);
    clockWatchers.add(watcher);
    return () => { clockWatchers.delete(watcher); };
  }, []);
  return Math.max(clock, Date.now() - 10000);
}

export function Ago({ ms, none = 'never' }: { ms: number | null | undefined; none?: string }) {
  useNow();
  if (!ms) return <span class="dim">{none}</span>;
  return <time dateTime={new Date(ms).toISOString()} title={both(ms)}>{ago(ms, Date.now())}</time>;
}

export type Tone = 'good' | 'bad' | 'warn' | 'busy' | 'calm';
const toneIcons: Record<Tone, string> = { good: 'ok', bad: 'fail', warn: 'warn', busy: 'wait', calm: 'none' };
export function Badge({ tone, icon, children, title }: { tone: Tone; icon?: string; children: ComponentChildren; title?: string }) {
  return <span class={`badge ${tone}`} title={title}><Icon name={icon ?? toneIcons[tone]} />{children}</span>;
}

const states: Record<string, [Tone, string, string]> = {
  offered: ['busy', 'offered', 'wait'], downloading: ['busy', 'downloading', 'wait'], downloaded: ['busy', 'downloaded', 'wait'],
  trial: ['busy', 'on trial', 'wait'], updated: ['good', 'updated', 'ok'], presumed: ['good', 'presumed updated', 'ok'],
  failed: ['bad', 'failed', 'fail'], 'rolled-back': ['bad', 'rolled back', 'back'],
  running: ['busy', 'running', 'play'], paused: ['warn', 'paused', 'pause'], done: ['good', 'done', 'ok'], aborted: ['bad', 'aborted', 'stop'],
  waiting: ['warn', 'waits for approval', 'wait'],
};
export function State({ of }: { of: string }) {
  const [tone, label, icon] = states[of] ?? ['calm', 'idle', 'none'];
  return <Badge tone={tone as Tone} icon={icon as string}>{label}</Badge>;
}

export function reasonTone(reason: Reason | null): Tone {
  if (!reason) return 'calm';
  if (['up-to-date', 'offered'].includes(reason.id)) return 'good';
  if (reason.who === 'nobody') return 'calm';
  return reason.who === 'retry' ? 'busy' : 'warn';
}

export function ReasonText({ reason, detail }: { reason: Reason | null; detail?: string | null }) {
  if (!reason) return <span class="dim">nothing said yet</span>;
  return <span class="reason"><span title={`${reason.id}: ${reason.sentence}`}>{reason.sentence}</span>{detail && <span class="dim"> {detail}</span>}</span>;
}

export function Copy({ value, label = 'Copy' }: { value: string; label?: string }) {
  const [done, setDone] = useState(false);
  const copy = () => {
    const say = () => { setDone(true); window.setTimeout(() => setDone(false), 1500); };
    if (navigator.clipboard) void navigator.clipboard.writeText(value).then(say, () => undefined);
    else { // plain http beyond this machine has no clipboard of its own
      const area = document.createElement('textarea');
      area.value = value;
      document.body.append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
      say();
    }
  };
  return <Button kind="plain" icon={done ? 'ok' : 'copy'} onClick={copy}>{done ? 'Copied' : label}</Button>;
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return <div class="fact"><dt>{name}</dt><dd>{children}</dd></div>;
}

export function Field({ label, hint, error, children }: { label: string; hint?: ComponentChildren; error?: string | null; children: ComponentChildren }) {
  return <label class="field"><span>{label}</span>{children}{hint && <small>{hint}</small>}{error && <small class="error" role="alert">{error}</small>}</label>;
}

/** A bar of shares; each part says itself in words. */
export function Bar({ parts, label }: { parts: { tone: string; n: number; name: string }[]; label: string }) {
  const all = parts.reduce((sum, part) => sum + part.n, 0);
  const words = parts.filter((part) => part.n > 0).map((part) => `${part.name} ${part.n}`).join(', ');
  return <div class="bar" role="img" aria-label={`${label}: ${words || 'nothing yet'}`}>
    {all > 0 && parts.map((part) => part.n > 0 && <span key={part.name} class={part.tone} style={{ flexGrow: part.n }} title={`${part.name}: ${part.n}`} />)}
  </div>;
}

/** For a camera: dark on light in both themes, with the quiet zone of four modules that ISO/IEC 18004 asks for. */
export function QrCode({ text, label }: { text: string; label: string }) {
  const { data, size } = encode(text, { ecc: 'M', border: 4 });
  const path = data.map((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : '')).join('')).join('');
  return <svg class="qr" role="img" aria-label={label} viewBox={`0 0 ${size} ${size}`} shape-rendering="crispEdges">
    <rect width={size} height={size} fill="#fff" /><path d={path} fill="#000" /></svg>;
}
