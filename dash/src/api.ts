// api.ts - calls to the server's REST API: relative addresses, so that any path prefix of a proxy works; the cookie of the
// session goes along by itself, and what changes something carries the session's CSRF key. Must never keep a token.

export interface Reason { id: string; number: number; who: string; sentence: string }

export class ApiError extends Error {
  constructor(readonly status: number, readonly reason: string, readonly sentence: string, readonly detail: string) {
    super(detail ? `${sentence} ${detail}` : sentence);
  }
}

let csrf: string | null = null;
export function setCsrf(key: string | null): void { csrf = key; }
let onLoggedOut: () => void = () => undefined;
export function setLoggedOut(handler: () => void): void { onLoggedOut = handler; }

/** door: the call that logs in, whose refusal logs nobody out. */
interface Options { method?: string; body?: unknown; file?: Blob; bearer?: string; door?: boolean; signal?: AbortSignal }

async function refusal(response: Response): Promise<ApiError> {
  try {
    const problem = (await response.json()) as { reason?: string; title: string; detail: string };
    if (problem.reason) return new ApiError(response.status, problem.reason, problem.title, problem.detail);
  } catch { /* not ours: a proxy's page */ }
  return new ApiError(response.status, 'http', `The server answered ${response.status}.`, 'A proxy in between may have.');
}

export async function api<T>(path: string, options: Options = {}): Promise<T> {
  const method = options.method ?? (options.body !== undefined || options.file ? 'POST' : 'GET');
  const headers: Record<string, string> = {};
  if (options.bearer) headers['Authorization'] = `Bearer ${options.bearer}`;
  if (method !== 'GET' && csrf) headers['X-CSRF-Token'] = csrf;
  let body: BodyInit | null = null;
  if (options.file) {
    headers['Content-Type'] = 'application/octet-stream';
    body = options.file;
  } else if (options.body !== undefined) {
    headers['Content-Type'] = 'application/json';
    body = JSON.stringify(options.body);
  }
  let response: Response;
  try {
    const init: RequestInit = { method, headers, body, cache: 'no-store' };
    if (options.signal) init.signal = options.signal;
    response = await fetch(`api/v1/${path}`, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, 'unreachable', 'The server does not answer.', 'It may be restarting; this page goes on by itself.');
  }
  if (response.status === 401 && !options.door) {
    csrf = null;
    onLoggedOut();
  }
  if (!response.ok) throw await refusal(response);
  return (await response.json()) as T;
}

export function query(params: Record<string, string | number | null | undefined>): string {
  const parts = Object.entries(params)
    .filter(([, value]) => value !== undefined && value !== null && value !== '')
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
  return parts.length > 0 ? `?${parts.join('&')}` : '';
}

export const text = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
