// load.tsx - data of a screen: loaded, loaded again when the server says that it changed, and shown with its error, empty and
// slow states. What was loaded stays on the screen while it is loaded again.
import type { ComponentChildren } from 'preact';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError, text } from './api';
import { type Change, watch } from './live';
import { Button, Icon } from './ui';

export interface Loaded<T> { data: T | null; error: string | null; slow: boolean; status: number; reload: () => void }

const GAP_MS = 1500; // between two loads because of changes
const SLOW_MS = 350;

export function useLoad<T>(path: string | null, affects: (change: Change) => boolean = () => true, gap = GAP_MS): Loaded<T> {
  const [state, setState] = useState<{ path: string | null; data: T | null; error: string | null; status: number }>(
    { path: null, data: null, error: null, status: 0 });
  const [slow, setSlow] = useState(false);
  const [tick, setTick] = useState(0);
  const matters = useRef(affects);
  matters.current = affects;
  const last = useRef(0);
  const failures = useRef(0);
  const reload = useCallback(() => setTick((n) => n + 1), []);

  useEffect(() => {
    if (path === null) return undefined;
    const abort = new AbortController();
    const slowTimer = window.setTimeout(() => setSlow(true), SLOW_MS);
    let again = 0;
    api<T>(path, { signal: abort.signal })
      .then((data) => {
        failures.current = 0;
        setState({ path, data, error: null, status: 200 });
      })
      .catch((error: unknown) => {
        if (error instanceof DOMException) return;
        const status = error instanceof ApiError ? error.status : 0;
        setState((was) => ({ path, data: was.path === path ? was.data : null, error: text(error), status }));
        failures.current += 1; // a server that restarts is asked again, ever more slowly
        if (status === 0 || status >= 500) again = window.setTimeout(reload, Math.min(30000, 1000 * 2 ** failures.current));
      })
      .finally(() => {
        last.current = Date.now();
        window.clearTimeout(slowTimer);
        setSlow(false);
      });
    return () => { abort.abort(); window.clearTimeout(slowTimer); window.clearTimeout(again); };
  }, [path, tick, reload]);

  useEffect(() => {
    let timer = 0;
    const soon = (change: Change) => {
      if (timer !== 0 || !matters.current(change)) return;
      timer = window.setTimeout(() => { timer = 0; reload(); }, Math.max(0, last.current + gap - Date.now()));
    };
    const stop = watch(soon);
    return () => { stop(); window.clearTimeout(timer); };
  }, [reload, gap]);

  const current = state.path === path;
  return { data: current ? state.data : null, error: current ? state.error : null, slow, status: state.status, reload };
}

export const onRules = (change: Change): boolean => change.kind === 'rules' || change.kind === 'resync';
export const onDevice = (id: string) => (change: Change): boolean => change.kind !== 'device' || change.id === id;

/** Two that make sense together only. */
export function both<A, B>(a: Loaded<A>, b: Loaded<B>): Loaded<[A, B]> {
  return { data: a.data !== null && b.data !== null ? [a.data, b.data] : null, error: a.error ?? b.error, slow: a.slow || b.slow,
    status: a.error !== null ? a.status : b.status, reload: () => { a.reload(); b.reload(); } };
}

interface Props<T> {
  of: Loaded<T>; lines?: number; children: (data: T) => ComponentChildren;
}

/** The data, or why it is not there yet. */
export function Load<T>({ of, lines = 4, children }: Props<T>) {
  if (of.data !== null) {
    return <>
      {of.error !== null && <p class="note warn" role="status"><Icon name="warn" /> Not current: {of.error}</p>}
      {children(of.data)}
    </>;
  }
  if (of.error !== null) {
    return <div class="empty" role="alert">
      <Icon name="warn" /><strong>This could not be loaded</strong><p>{of.error}</p>
      <Button onClick={of.reload}>Try again</Button>
    </div>;
  }
  return <div class="skeleton" aria-busy="true" aria-label="Loading">
    {of.slow && Array.from({ length: lines }, (_, n) => <span key={n} />)}
  </div>;
}
