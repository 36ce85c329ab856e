// palette.tsx - search everywhere: screens, devices, releases and rollouts by any word of theirs, by keyboard alone.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { query } from './api';
import { Modal } from './dialog';
import { mac } from './format';
import { screensOf } from './frame';
import { useLoad } from './load';
import { device, go, to } from './route';
import type { DevicePage, Release, Rollout } from './types';
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

  const hits = useMemo<Hit[]>(() => {
    const lower = words.trim().toLowerCase();
    const has = (...texts: (string | null)[]) => texts.some((one) => one?.toLowerCase().includes(lower));
    const out: Hit[] = screensOf().filter((screen) => has(screen.name))
      .map((screen) => ({ name: screen.name, sub: 'screen', icon: screen.icon, address: to(screen.path) }));
    if (!lower) return out;
    for (const one of found.data?.devices ?? [])
      out.push({ name: mac(one.id), sub: [one.product, one.running.version].filter(Boolean).join(' '), icon: 'chip', address: device(one.id) });
    for (const one of releases.data?.releases ?? [])
      if (has(one.product, one.version, `${one.product} ${one.version}`))
        out.push({ name: `${one.product} ${one.version}`, sub: 'release', icon: 'box', address: to(`releases/${one.id}`) });
    for (const one of rollouts.data?.rollouts ?? [])
      if (has(one.product, one.version, one.status, `rollout ${one.id}`))
        out.push({ name: `Rollout ${one.id}: ${one.product} ${one.version}`, sub: one.status, icon: 'steps', address: to(`rollouts/${one.id}`) });
    return out.slice(0, 20);
  }, [words, found.data, releases.data, rollouts.data]);

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
        {hits.map((hit, n) => <li key={hit.address} id={`hit-${n}`} role="option" aria-selected={n === at} onClick={() => open(hit)} onMouseMove={() => setAt(n)}>
          <Icon name={hit.icon} /><span>{hit.name}</span><span class="dim">{hit.sub}</span>
        </li>)}
      </ul>
      : <p id="hits" role="status">{found.error ?? 'Nothing has these words.'}</p>}
  </Modal>;
}
