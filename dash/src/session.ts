// session.ts - who is logged in, and what he may: so that nothing is offered that the server would refuse. The server decides; this
// only decides what is shown.
import { api, setCsrf } from './api';

export interface Session { csrf: string | null; since_ms: number | null; who: string | null; user: string | null; roles: string[]; users: boolean; oidc?: boolean }
export type Need = 'view' | 'operate' | 'upload' | 'approve' | 'admin';

const holders: Record<Need, string[]> = {
  view: ['viewer', 'operator', 'uploader', 'approver', 'admin'], operate: ['operator', 'admin'], upload: ['uploader', 'admin'],
  approve: ['approver', 'admin'], admin: ['admin'],
};
export const roleNames = ['viewer', 'operator', 'uploader', 'approver', 'admin'] as const;

let now: Session = { csrf: null, since_ms: null, who: null, user: null, roles: [], users: false };
export const session = (): Session => now;

/** May he with things of the product; left out: of any. */
export function can(need: Need, product?: string | null): boolean {
  return now.roles.some((text) => {
    const [role = '', of] = text.split(/@(.*)/s, 2);
    return holders[need].includes(role) && (of === undefined || product === undefined || of === product);
  });
}
/** ... with all of them, and with what is about all. */
export const canAll = (need: Need): boolean => now.roles.some((role) => holders[need].includes(role));

function take(session: Session): Session {
  now = session;
  setCsrf(session.csrf);
  return session;
}

export async function resumeSession(): Promise<boolean> {
  return take(await api<Session>('session', { door: true })).csrf !== null;
}
export async function logInByToken(token: string): Promise<void> {
  take(await api<Session>('session', { method: 'POST', bearer: token, door: true }));
}
export async function logIn(name: string, password: string, code: string): Promise<void> {
  take(await api<Session>('session', { body: { name, password, code: code || null }, door: true }));
}
/** To the provider and back: the state stays in this tab, so that nobody can bring somebody else's login here. */
export async function leaveForProvider(): Promise<void> {
  const { url, state } = await api<{ url: string; state: string }>('session/oidc', { body: { redirect: location.origin + location.pathname }, door: true });
  sessionStorage.setItem('molt-oidc', state);
  location.assign(url);
}
export const isBackFromProvider = (): boolean => /[?&]state=/.test(location.search);
export async function returnFromProvider(): Promise<void> {
  const params = new URLSearchParams(location.search), state = params.get('state'), mine = sessionStorage.getItem('molt-oidc');
  sessionStorage.removeItem('molt-oidc');
  history.replaceState(null, '', location.pathname + location.hash);
  if (state !== mine) throw new Error('This login was not begun here. Begin again.');
  if (!params.get('code')) throw new Error(`The provider refused: ${params.get('error_description') ?? params.get('error') ?? 'no reason given'}.`);
  take(await api<Session>('session', { body: { state, code: params.get('code') }, door: true }));
}
export async function logOut(): Promise<void> {
  await api('session', { method: 'DELETE' });
  setCsrf(null);
}
