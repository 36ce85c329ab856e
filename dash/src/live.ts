// live.ts - what changes on the server, as it changes: one EventSource for all screens, which asks again by itself.
// Must never make a screen load more often than it can: screens gather what comes in useLoad().

import { api } from './api';

export type Change = { kind: 'device'; id: string } | { kind: 'devices' | 'rules' | 'resync' };
type Watcher = (change: Change) => void;
export type Link = 'starting' | 'live' | 'lost';

const watchers = new Set<Watcher>();
const linkWatchers = new Set<(link: Link) => void>();
let source: EventSource | null = null;
let link: Link = 'starting';
let again = 0;

function setLink(now: Link): void {
  if (now === link) return;
  link = now;
  linkWatchers.forEach((watcher) => watcher(now));
}

function tell(change: Change): void {
  watchers.forEach((watcher) => watcher(change));
}

export function startLive(): void {
  stopLive();
  source = new EventSource('api/v1/events');
  let opened = true, wasLost = false;
  source.onopen = () => {
    opened = true;
    if (wasLost) tell({ kind: 'resync' });
    wasLost = false;
    setLink('live');
  };
  // Each answer of the server ends, which the browser calls an error; it is one only if no answer came at all.
  source.onerror = () => {
    if (!opened) { wasLost = true; setLink('lost'); }
    opened = false;
    window.clearTimeout(again);
    if (source?.readyState !== EventSource.CLOSED) return;
    void api('status').catch(() => undefined); // refused for good: is it that nobody is logged in any more?
    again = window.setTimeout(() => { if (source) startLive(); }, 5000);
  };
  source.addEventListener('device', (event) => {
    tell({ kind: 'device', id: (JSON.parse((event as MessageEvent<string>).data) as { id: string }).id });
  });
  source.addEventListener('devices', () => tell({ kind: 'devices' }));
  source.addEventListener('rules', () => tell({ kind: 'rules' }));
  source.addEventListener('resync', () => tell({ kind: 'resync' }));
}

export function stopLive(): void {
  window.clearTimeout(again);
  source?.close();
  source = null;
  setLink('starting');
}

export function watch(watcher: Watcher): () => void {
  watchers.add(watcher);
  return () => { watchers.delete(watcher); };
}

export function watchLink(watcher: (link: Link) => void): () => void {
  linkWatchers.add(watcher);
  watcher(link);
  return () => { linkWatchers.delete(watcher); };
}
