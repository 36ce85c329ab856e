// palette.tsx - search everywhere: screens, devices, releases, rollouts, products, groups, filters with a name and users, by any
// word of theirs, by keyboard alone.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { query } from './api';
import { Modal } from './dialog';
import { mac, many, quoted } from './format';
import { screensOf } from './frame';
import { useLoad } from './load';
import { device, devices, go, to } from './route';
import { canAll } from './session';
import type { DevicePage, Product, Release, Rollout, User } from './types';
import { Icon } from './ui';

interface Hit { name: string; sub: string; icon: string; address: string }

const never = (): boolean => false;

export function Palette({ close }: { close: () => void }) {
  const [words, setWords] = useState('');
  const [asked, setAsked] = useState('');
  const [at, setAt] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    const timer = window.setTimeout(() => setAsked(words.trim()), 150);
    return () => window.clearTimeout(timer);
  }, [words]);
  // people write a MAC with colons; the server keeps it without
  const q = /^([0-9a-f]{2}[:-]){2,}/i.test(asked) ? asked.replace(/[:-]/g, '') : asked;
  const found = useLoad<DevicePage>(q ? `devices${query({ q, limit: 8 })}` : null, never);
  const releases = useLoad<{ releases: Release[] }>('releases', never);
  const rollouts = useLoad<{ rollouts: Rollout[] }>('rollouts', never);
  const products = useLoad<{ products: Product[] }>('products', never);
  const groups = useLoad<{ groups: { name: string; devices: number }[] }>('groups?limit=1000', never);
  const filters = useLoad<{ filters: { name: string; filter: string }[] }>(canAll('view') ? 'filters?limit=1000' : null, never);
  const users = useLoad<{ users: User[] }>(canAll('admin') ? 'users' : null, never);

  const hits = useMemo<Hit[]>(() => {
    const lower = words.trim().toLowerCase();
    const has = (...texts: (string | null)[]) => texts.some((one) => one?.toLowerCase().includes(lower));
    const out: Hit[] = screensOf().filter((screen) => has(screen.name))
      .map((screen) => ({ name: screen.name, sub: 'screen', icon: screen.icon, address: to(screen.path) }));
    if (!lower) return out;
    for (const one of found.data?.devices ?? [])
      out.push({ name: mac(one.id), sub: [one.product, one.running.version].filter(Boolean).join(' '), icon: 'chip', address: device(one.id) });
    for (const one of products.data?.products ?? [])
      if (has(one.name)) out.push({ name: one.name, sub: 'product', icon: 'box', address: devices(`product = ${quoted(one.name)}`) });
    for (const one of groups.data?.groups ?? [])
      if (has(one.name)) out.push({ name: one.name, sub: `group, ${many(one.devices, 'device')}`, icon: 'layers', address: devices(`group = ${quoted(one.name)}`) });
    for (const one of filters.data?.filters ?? [])
      if (has(one.name, one.filter)) out.push({ name: one.name, sub: 'filter', icon: 'search', address: devices(one.filter) });
    for (const one of users.data?.users ?? [])
      if (has(one.name)) out.push({ name: one.name, sub: 'user', icon: 'person', address: to('users') });
    for (const one of releases.data?.releases ?? [])
      if (has(one.product, one.version, `${one.product} ${one.version}`))
        out.push({ name: `${one.product} ${one.version}`, sub: 'release', icon: 'box', address: to(`releases/${one.id}`) });
    for (const one of rollouts.data?.rollouts ?? [])
      if (has(one.product, one.version, one.status, `rollout ${one.id}`))
        out.push({ name: `Rollout ${one.id}: ${one.product} ${one.version}`, sub: one.status, icon: 'steps', address: to(`rollouts/${one.id}`) });
    return out.slice(0, 20);
  }, [words, found.data, releases.data, rollouts.data, products.data, groups.data, filters.data, users.data]);

  useEffect(() => setAt(0), [words]);
  useEffect(() => list.current?.children[at]?.scrollIntoView({ block: 'nearest' }), [at]);
  const open = (hit: Hit | undefined) => { if (hit) { close(); go(hit.address); } };
  const pressed = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setAt(Math.min(hits.length - 1, at + 1));
    else if (event.key === 'ArrowUp') setAt(Math.max(0, at - 1));
    else if (event.key === 'Enter') open(hits[at]);
    else return;
    event.preventDefault();
  };
  return <Modal onClose={close} class="palette">
    <input type="text" role="combobox" aria-expanded="true" aria-controls="hits" aria-label="Search everywhere" aria-activedescendant={hits[at] ? `hit-${at}` : undefined}
      placeholder="Device, MAC, version, screen …" value={words} autofocus onInput={(event) => setWords(event.currentTarget.value)} onKeyDown={pressed} />
    {hits.length > 0
      ? <ul id="hits" role="listbox" aria-label="Found" ref={list}>
        {hits.map((hit, n) => <li key={`${hit.sub} ${hit.name}`} id={`hit-${n}`} role="option" aria-selected={n === at} onClick={() => open(hit)} onMouseMove={() => setAt(n)}>
          <Icon name={hit.icon} /><span>{hit.name}</span><span class="dim">{hit.sub}</span>
        </li>)}
      </ul>
      : <p id="hits" role="status">{found.error ?? 'Nothing has these words.'}</p>}
  </Modal>;
}
