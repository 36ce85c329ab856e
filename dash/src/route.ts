// route.ts - which screen: the part of the address after '#', so that the document's own address never changes.
import { useEffect, useState } from 'preact/hooks';

export interface Route { parts: string[]; params: URLSearchParams }

export function parseRoute(hash: string): Route {
  const [path = '', search = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  return { parts: path.split('/').filter(Boolean).map(decode), params: new URLSearchParams(search) };
}

function decode(part: string): string {
  try { return decodeURIComponent(part); } catch { return part; }
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const changed = () => setRoute(parseRoute(location.hash));
    window.addEventListener('hashchange', changed);
    return () => window.removeEventListener('hashchange', changed);
  }, []);
  return route;
}

export function to(path: string, params: Record<string, string | null | undefined> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value) search.set(name, value);
  const text = search.toString();
  return `#/${path}${text ? `?${text}` : ''}`;
}

export const device = (id: string): string => to(`devices/${encodeURIComponent(id)}`);
export const devices = (filter: string): string => to('devices', { filter });
export function go(address: string): void { location.hash = address; }
/** The same screen with other parameters, and no new entry in the history. */
export function replace(address: string): void {
  history.replaceState(null, '', address);
  window.dispatchEvent(new HashChangeEvent('hashchange'));
}
