// bulk.tsx - what is done to many devices at once: to those that were chosen, in one transaction that can be undone; or to all that a
// filter matches, after a question.
import { useState } from 'preact/hooks';
import { api, query } from '../api';
import { act, ask, Modal } from '../dialog';
import { many, quoted } from '../format';
import type { Device, Product } from '../types';
import { Button, Field } from '../ui';

type Patch = Record<string, unknown>;
const EVERY = 'id ~ "*"'; // what changes all devices wants to be told so
const FILTER_MAX = 511;

/** Filters that together name these devices and no others. */
function filtersOf(ids: string[]): string[] {
  const filters: string[] = [];
  for (const id of ids.map(quoted)) {
    const last = filters[filters.length - 1];
    if (last !== undefined && last.length + id.length + 3 <= FILTER_MAX) filters[filters.length - 1] = `${last.slice(0, -1)}, ${id})`;
    else filters.push(`id in (${id})`);
  }
  return filters;
}
const each = (filters: string[], what: (filter: string) => Promise<unknown>): Promise<unknown> =>
  filters.reduce<Promise<unknown>>((before, filter) => before.then(() => what(filter)), Promise.resolve());
const retry = (filter: string) => api(`device-retry${query({ filter })}`, { method: 'POST' });
const forget = (filter: string) => api(`devices${query({ filter })}`, { method: 'DELETE' });
export const patchDevice = (id: string, body: Patch): Promise<unknown> =>
  api(`devices/${encodeURIComponent(id)}`, { method: 'PATCH', body });

/** Many in one transaction: all of them, or none. */
const putDevices = (rows: (Patch & { id: string })[]): Promise<unknown> => api('devices', { body: { devices: rows } });

/** Words that are put on, or taken off, many devices; what else they have stays. */
function Label({ chosen, close, done }: { chosen: Device[]; close: () => void; done: () => void }) {
  const [group, setGroup] = useState('');
  const [tags, setTags] = useState('');
  const [less, setLess] = useState('');
  const words = (text: string) => text.split(/[\s,]+/).filter(Boolean);
  const save = async (event: Event) => {
    event.preventDefault();
    const off = new Set(words(less));
    const row = (one: Device) => ({ id: one.id, tags: [...new Set([...one.tags.filter((tag) => !off.has(tag)), ...words(tags)])], ...(group.trim() ? { group: group.trim() } : {}) });
    const undo = () => putDevices(chosen.map((one) => ({ id: one.id, tags: one.tags, group: one.group }))).then(done);
    if (await act(`${many(chosen.length, 'device')} labelled.`, () => putDevices(chosen.map(row)), undo)) { close(); done(); }
  };
  return <Modal title={`Label ${many(chosen.length, 'device')}`} onClose={close}><form class="form" onSubmit={(event) => void save(event)}>
    <Field label="Into the group" hint="empty: each stays where it is"><input type="text" value={group} onInput={(event) => setGroup(event.currentTarget.value)} /></Field>
    <div class="pair">
      <Field label="Tags on" hint="words, a space between"><input type="text" value={tags} onInput={(event) => setTags(event.currentTarget.value)} /></Field>
      <Field label="Tags off"><input type="text" value={less} onInput={(event) => setLess(event.currentTarget.value)} /></Field>
    </div>
    <div class="actions"><Button onClick={close}>Cancel</Button><Button kind="main" type="submit" disabled={!group.trim() && !tags.trim() && !less.trim()}>Label them</Button></div>
  </form></Modal>;
}

interface BulkProps { clear: () => void; reload: () => void; products: Product[] }

function Assign({ products, to: assign }: { products: Product[]; to: (name: string) => void }) {
  return <div><select aria-label="Assign to a product" value="" onChange={(event) => { const name = event.currentTarget.value; event.currentTarget.value = ''; if (name) assign(name); }}>
    <option value="">Assign to …</option>
    {products.map((one) => <option key={one.name} value={one.name}>{one.name}</option>)}
  </select></div>;
}

const gone = <p>Their rows, tokens and labels are deleted. A device that calls again is recorded as new.</p>;

export function Bulk({ chosen, clear, reload, products, more }: BulkProps & { chosen: Device[]; more: preact.ComponentChildren }) {
  const [labelling, setLabelling] = useState(false);
  const ids = chosen.map((one) => one.id);
  const words = many(ids.length, 'device');
  const after = (done: boolean) => { if (done) { clear(); reload(); } };
  const set = (said: string, body: Patch, back: (one: Device) => Patch) => {
    const before = chosen.map((one) => ({ id: one.id, ...back(one) }));
    void act(said, () => putDevices(ids.map((id) => ({ id, ...body }))), () => putDevices(before).then(reload)).then(after);
  };
  const remove = async () => {
    if (await ask(`Forget ${words}?`, { body: gone, action: 'Forget', bad: true })) after(await act(`${words} forgotten.`, () => each(filtersOf(ids), forget)));
  };
  return <div class="toolbar" role="group" aria-label="Chosen devices">
    <b>{words}</b>
    <Button icon="hold" onClick={() => set(`${words} held: nothing is offered to them.`, { held: true }, (one) => ({ held: one.held }))}>Hold</Button>
    <Button onClick={() => set(`${words} released.`, { held: false }, (one) => ({ held: one.held }))}>Release</Button>
    <Button icon="back" onClick={() => void act(`${words}: what failed is offered again.`, () => each(filtersOf(ids), retry)).then(after)}>Retry</Button>
    <Button icon="tag" onClick={() => setLabelling(true)}>Label</Button>
    <Assign products={products} to={(name) => set(`${words} assigned to ${name}.`, { product: name }, (one) => ({ product: one.product }))} />
    <Button kind="bad" onClick={() => void remove()}>Forget</Button>
    {more}
    <Button kind="plain" onClick={clear}>Clear</Button>
    {labelling && <Label chosen={chosen} close={() => setLabelling(false)} done={() => { clear(); reload(); }} />}
  </div>;
}

/** All that a filter matches, seen or not: each order asks first, for nobody knows what each of them was. */
export function BulkAll({ filter, total, clear, reload, products }: BulkProps & { filter: string; total: number }) {
  const words = many(total, 'device'), which = filter || EVERY;
  const order = async (title: string, said: string, action: string, what: () => Promise<unknown>, bad = false, more: preact.ComponentChildren = null) => {
    const body = <><p>{filter ? <>All that match <code class="break">{filter}</code>, on every page.</> : 'Every device of this server.'} This cannot be undone at once.</p>{more}</>;
    if (await ask(title, { body, action, bad }) && await act(said, what)) { clear(); reload(); }
  };
  const set = (body: Patch) => () => api(`devices${query({ filter: which })}`, { method: 'PATCH', body });
  return <div class="toolbar" role="group" aria-label="Chosen devices">
    <b>All {words}</b>
    <Button icon="hold" onClick={() => void order(`Hold ${words}?`, `${words} held: nothing is offered to them.`, 'Hold', set({ held: true }))}>Hold</Button>
    <Button onClick={() => void order(`Release ${words}?`, `${words} released.`, 'Release', set({ held: false }))}>Release</Button>
    <Button icon="back" onClick={() => void order(`Retry ${words}?`, `${words}: what failed is offered again.`, 'Retry', () => retry(which))}>Retry</Button>
    <Assign products={products} to={(name) => void order(`Assign ${words} to ${name}?`, `${words} assigned to ${name}.`, 'Assign', set({ product: name }))} />
    <Button kind="bad" onClick={() => void order(`Forget ${words}?`, `${words} forgotten.`, 'Forget', () => forget(which), true, gone)}>Forget</Button>
    <Button kind="plain" onClick={clear}>Clear</Button>
  </div>;
}
