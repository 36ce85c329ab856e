// frame.tsx - what stands around every screen: navigation, search, theme, the state of the link to the server, keys.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { DialogHost, Modal } from './dialog';
import { type Link, watchLink } from './live';
import { Palette } from './palette';
import { go, type Route, to } from './route';
import { can, canAll, logOut, session } from './session';
import { Button, Icon } from './ui';

export const screens = [
  { path: '', name: 'Overview', icon: 'home', key: 'o', of: 'fleet' },
  { path: 'devices', name: 'Devices', icon: 'chip', key: 'd', of: 'fleet' },
  { path: 'releases', name: 'Releases', icon: 'box', key: 'r', of: 'fleet' },
  { path: 'rollouts', name: 'Rollouts', icon: 'steps', key: 'l', of: 'fleet' },
  { path: 'enrolment', name: 'Enrolment', icon: 'door', key: 'e', of: 'fleet' },
  { path: 'groups', name: 'Groups', icon: 'layers', key: 'p', of: 'fleet' },
  { path: 'settings', name: 'Settings', icon: 'gear', key: 's', of: 'server' },
  { path: 'health', name: 'Server health', icon: 'pulse', key: 'h', of: 'server' },
  { path: 'webhooks', name: 'Webhooks', icon: 'bell', key: 'w', of: 'server' },
  { path: 'users', name: 'Users', icon: 'people', key: 'u', of: 'server' },
  { path: 'audit', name: 'Audit', icon: 'list', key: 'a', of: 'server' },
  { path: 'account', name: 'My account', icon: 'person', key: 'm', of: 'me' },
] as const;

/** Those that have something for him. */
export const screensOf = () => screens.filter((screen) => ({
  health: canAll('view'), users: canAll('admin'), webhooks: canAll('admin'), audit: can('admin'), enrolment: can('operate'), settings: can('operate'), account: session().user !== null,
} as Record<string, boolean>)[screen.path] ?? true);

export function Brand() {
  return <a class="brand" href={to('')} aria-label="molt, overview">
    <svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="7" fill="var(--accent)" /><path d="M7 23V13a4.5 4.5 0 0 1 9 0v10M16 13a4.5 4.5 0 0 1 9 0v6a4 4 0 0 1-4 4" fill="none" stroke="var(--accent-ink)" stroke-width="3.2" stroke-linecap="round" /></svg>
    molt
  </a>;
}

export function initTheme(): void {
  const kept = localStorage.getItem('molt-theme');
  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  const set = () => {
    document.documentElement.dataset['theme'] = localStorage.getItem('molt-theme') ?? (dark.matches ? 'dark' : 'light');
    window.dispatchEvent(new Event('molt-theme'));
  };
  if (kept !== 'dark' && kept !== 'light') localStorage.removeItem('molt-theme');
  dark.addEventListener('change', set);
  set();
}

function ThemeButton() {
  const [theme, setTheme] = useState(document.documentElement.dataset['theme']);
  useEffect(() => {
    const turned = () => setTheme(document.documentElement.dataset['theme']);
    window.addEventListener('molt-theme', turned);
    return () => window.removeEventListener('molt-theme', turned);
  }, []);
  const turn = () => {
    const next = theme === 'dark' ? 'light' : 'dark';
    localStorage.setItem('molt-theme', next);
    document.documentElement.dataset['theme'] = next;
    window.dispatchEvent(new Event('molt-theme'));
  };
  return <Button kind="plain" icon="moon" onClick={turn}>{theme === 'dark' ? 'Light' : 'Dark'}</Button>;
}

function LinkState() {
  const [link, setLink] = useState<Link>('starting');
  useEffect(() => watchLink(setLink), []);
  const words = { starting: 'Connecting', live: 'Live', lost: 'No connection' }[link];
  return <span class={`live live-${link}`} role="status"><i />{words}</span>;
}

function Help({ close }: { close: () => void }) {
  const keys: [string, string][] = [['/', 'search everywhere'], ['j  k', 'next, previous row'], ['Enter', 'open the row'], ['?', 'this help'],
    ...screensOf().map((screen): [string, string] => [`g ${screen.key}`, screen.name.toLowerCase()])];
  return <Modal title="Keys" onClose={close}>
    <dl class="facts">{keys.map(([key, what]) => <div class="fact" key={key}><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div>)}</dl>
    <div class="actions"><Button kind="main" onClick={close}>Close</Button></div>
  </Modal>;
}

function moveRow(step: number): void {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-row]')];
  const at = rows.indexOf(document.activeElement as HTMLElement);
  rows[Math.max(0, Math.min(rows.length - 1, at + step))]?.focus();
}

function useKeys(find: () => void, help: () => void): void {
  useEffect(() => {
    let wasG = 0;
    const pressed = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if ((event.ctrlKey || event.metaKey) && event.key === 'k') { event.preventDefault(); find(); return; }
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
      if (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
      const screen = screensOf().find((one) => one.key === event.key);
      if (Date.now() - wasG < 1500 && screen) { wasG = 0; go(to(screen.path)); }
      else if (event.key === 'g') wasG = Date.now();
      else if (event.key === '/') { event.preventDefault(); find(); }
      else if (event.key === '?') help();
      else if (event.key === 'j') moveRow(1);
      else if (event.key === 'k') moveRow(-1);
    };
    window.addEventListener('keydown', pressed);
    return () => window.removeEventListener('keydown', pressed);
  }, [find, help]);
}

export function Frame({ route, leave, children }: { route: Route; leave: () => void; children: ComponentChildren }) {
  const [menu, setMenu] = useState(false);
  const [finding, setFinding] = useState(false);
  const [helping, setHelping] = useState(false);
  const here = route.parts[0] ?? '';
  useEffect(() => setMenu(false), [route]);
  useKeys(() => setFinding(true), () => setHelping(true));
  return <div class="frame">
    <a class="skip" href="#content" onClick={(event) => { event.preventDefault(); document.querySelector<HTMLElement>('main h1')?.focus(); }}>To the content</a>
    <header class="top">
      <Brand />
      <Button icon="search" aria-label="Search" onClick={() => setFinding(true)} />
      <Button icon={menu ? 'fail' : 'menu'} aria-expanded={menu} aria-label="Menu" onClick={() => setMenu(!menu)} />
    </header>
    <aside class={`side ${menu ? 'open' : ''}`} aria-label="molt">
      <div class="row"><Brand /></div>
      <button type="button" class="find" onClick={() => setFinding(true)}><Icon name="search" />Search<kbd>/</kbd></button>
      <nav aria-label="Screens">
        {(['fleet', 'server'] as const).map((of) => <div key={of}>{screensOf().filter((screen) => screen.of === of).map((screen) => <a key={screen.path}
          href={to(screen.path)} aria-current={here === screen.path ? 'page' : undefined} onClick={() => setMenu(false)}><Icon name={screen.icon} />{screen.name}</a>)}</div>)}
      </nav>
      <div class="foot">
        <LinkState />
        {session().user !== null
          ? <a class="me" href={to('account')} aria-current={here === 'account' ? 'page' : undefined} onClick={() => setMenu(false)}><Icon name="person" /><span>{session().user}</span></a>
          : <span class="me"><Icon name="person" /><span>{session().who}</span></span>}
        <div class="row">
          <ThemeButton />
          <Button kind="plain" icon="out" onClick={() => void logOut().catch(() => undefined).then(leave)}>Log out</Button>
        </div>
        {menu && <Button icon="fail" onClick={() => setMenu(false)}>Close the menu</Button>}
      </div>
    </aside>
    <main id="content">{children}<DialogHost /></main>
    {finding && <Palette close={() => setFinding(false)} />}
    {helping && <Help close={() => setHelping(false)} />}
  </div>;
}
