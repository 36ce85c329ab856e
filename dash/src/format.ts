// format.ts - numbers, sizes and times as people read them. Pure.
const whole = new Intl.NumberFormat('en');
export const count = (n: number): string => whole.format(n);
export const many = (n: number, one: string, more = `${one}s`): string => `${count(n)} ${n === 1 ? one : more}`;

export function bytes(n: number | null | undefined): string {
  if (n === null || n === undefined) return '–';
  if (n < 1024) return `${n} B`;
  if (n < 1024 * 1024) return `${(n / 1024).toFixed(n < 10240 ? 1 : 0)} KB`;
  if (n < 1024 ** 3) return `${(n / 1048576).toFixed(n < 104857600 ? 1 : 0)} MB`;
  return `${(n / 1073741824).toFixed(1)} GB`;
}

export function percent(part: number, all: number): string {
  if (all === 0) return '–';
  const value = (100 * part) / all;
  return `${value > 0 && value < 1 ? '<1' : value > 99 && value < 100 ? '>99' : Math.round(value)} %`;
}

export function duration(s: number): string {
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 90 * 60) return `${Math.round(s / 60)} min`;
  if (s < 36 * 3600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
}

export function ago(ms: number, now: number): string {
  const s = (now - ms) / 1000;
  if (s < -5) return `in ${duration(-s)}`;
  if (s < 10) return 'just now';
  return `${duration(s)} ago`;
}

const local = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
export const moment = (ms: number): string => local.format(ms);
export const both = (ms: number): string => `${local.format(ms)} · ${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

export const mac = (id: string): string => (/^[0-9a-f]{12}$/.test(id) ? (id.match(/../g) ?? []).join(':') : id);

/** A value of the filter language, quoted when it must be. */
export const quoted = (value: string): string =>
  /^[A-Za-z0-9._*?+:/%-]{1,64}$/.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`;
