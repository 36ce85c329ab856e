// groups.tsx - the groups that devices are in, and filters with a name: look at their devices, rename, dissolve, save, delete.
import { useState } from 'preact/hooks';
import { api, query } from '../api';
import { act, ask, Modal } from '../dialog';
import { count, many, quoted } from '../format';
import { Load, useLoad } from '../load';
import { Paged } from '../pager';
import { devices } from '../route';
import { can, canAll } from '../session';
import type { DevicePage } from '../types';
import { Ago, Button, Empty, Field, Panel, Screen } from '../ui';

interface Group { name: string; devices: number }
interface Filter { name: string; filter: string; note: string | null; changed_by: string | null; changed_ms: number }
const BACK_MAX = 1000; // devices that one request sets
const path = (kind: string, name: string) => `${kind}/${encodeURIComponent(name)}`;

function Rename({ group, taken, close, reload }: { group: Group; taken: (name: string) => boolean; close: () => void; reload: () => void }) {
  const [name, setName] = useState(group.name);
  const save = async (event: Event) => {
    event.preventDefault();
    const put = (from: string, name: string) => api(path('groups', from), { method: 'PATCH', body: { name } });
    const undo = () => put(name, group.name).then(reload); // not when two groups became one: who was in which?
    if (await act(`${group.name} is ${name} now.`, () => put(group.name, name), taken(name) ? undefined : undo)) { close(); reload(); }
  };
  return <Modal title={`Rename ${group.name}`} onClose={close}>
    <form class="form" onSubmit={(event) => void save(event)}>
      <Field label="New name" hint="A group that is there takes the devices in"><input type="text" required value={name} onInput={(event) => setName(event.currentTarget.value)} /></Field>
      <div class="actions"><Button onClick={close}>Cancel</Button><Button kind="main" type="submit" disabled={!name || name === group.name}>Rename</Button></div>
    </form>
  </Modal>;
}

function Save({ reload }: { reload: () => void }) {
  const [name, setName] = useState('');
  const [filter, setFilter] = useState('');
  const [note, setNote] = useState('');
  const save = async (event: Event) => {
    event.preventDefault();
    if (!await act(`${name} is saved.`, () => api(path('filters', name), { method: 'PUT', body: { filter, note: note || null } }))) return;
    setName(''); setFilter(''); setNote('');
    reload();
  };
  return <Panel title="Save a filter">
    <form class="form" onSubmit={(event) => void save(event)}>
      <div class="pair">
        <Field label="Name"><input type="text" required value={name} onInput={(event) => setName(event.currentTarget.value)} /></Field>
        <Field label="Note"><input type="text" value={note} onInput={(event) => setNote(event.currentTarget.value)} /></Field>
      </div>
      <Field label="Filter" hint="as group = roof and chip = esp8266"><input type="text" class="mono" required value={filter} onInput={(event) => setFilter(event.currentTarget.value)} /></Field>
      <div><Button kind="main" type="submit" disabled={!name || !filter}>Save</Button></div>
    </form>
  </Panel>;
}

export function Groups() {
  const groups = useLoad<{ groups: Group[] }>('groups?limit=1000');
  const filters = useLoad<{ filters: Filter[] }>('filters?limit=1000');
  const [renaming, setRenaming] = useState<Group | null>(null);
  const dissolve = async (group: Group) => {
    const isSmall = group.devices <= BACK_MAX;
    if (!await ask(`Take ${many(group.devices, 'device')} out of ${group.name}?`, { body: <p>The devices stay as they are otherwise.{!isSmall && ' They are too many to put them back afterwards.'}</p>, action: 'Dissolve', bad: true })) return;
    let ids: string[] = [];
    const dissolved = await act(`${group.name} is dissolved.`, async () => {
      if (isSmall) ids = (await api<DevicePage>(`devices${query({ filter: `group = ${quoted(group.name)}`, limit: BACK_MAX })}`)).devices.map((one) => one.id);
      await api(path('groups', group.name), { method: 'DELETE' });
    }, isSmall ? () => api('devices', { body: { devices: ids.map((id) => ({ id, group: group.name })) } }).then(groups.reload) : undefined);
    if (dissolved) groups.reload();
  };
  const forget = async (one: Filter) => {
    const undo = () => api(path('filters', one.name), { method: 'PUT', body: { filter: one.filter, note: one.note } }).then(filters.reload);
    if (await act(`${one.name} is deleted.`, () => api(path('filters', one.name), { method: 'DELETE' }), undo)) filters.reload();
  };
  return <Screen title="Groups and filters" sub="A group is there as long as a device is in it.">
    <div class="stack">
      <Panel title="Groups" class="flush"><Load of={groups} lines={4}>{(page) => page.groups.length === 0
        ? <Empty title="No device is in a group" icon="chip"><p>Put one into a group on its page, or many at once in the table of devices.</p></Empty>
        : <Paged all={page.groups}>{(rows) => <div class="table-wrap"><table><thead><tr><th scope="col">Group</th><th scope="col" class="num">Devices</th><th scope="col"><span class="visually-hidden">Actions</span></th></tr></thead>
          <tbody>{rows.map((group) => <tr key={group.name}>
            <td><a class="main" data-row href={devices(`group = ${quoted(group.name)}`)}>{group.name}</a></td><td class="num">{count(group.devices)}</td>
            <td>{canAll('operate') && <div class="actions end"><Button kind="plain" aria-label={`Rename ${group.name}`} onClick={() => setRenaming(group)}>Rename</Button>
              <Button kind="plain" aria-label={`Dissolve ${group.name}`} onClick={() => void dissolve(group)}>Dissolve</Button></div>}</td></tr>)}</tbody></table></div>}</Paged>}</Load></Panel>
      {canAll('view') && <Panel title="Filters" class="flush"><Load of={filters} lines={4}>{(page) => page.filters.length === 0
        ? <Empty title="No filter has a name" icon="search"><p>Save one below; it is then a click, here and for the command line.</p></Empty>
        : <Paged all={page.filters}>{(rows) => <div class="table-wrap"><table><thead><tr><th scope="col">Name</th><th scope="col" class="wide">Changed</th><th scope="col"><span class="visually-hidden">Actions</span></th></tr></thead>
          <tbody>{rows.map((one) => <tr key={one.name}>
            <td><a class="main" data-row href={devices(one.filter)}>{one.name}</a><span class="second mono">{one.filter || 'all devices'}</span>{one.note && <span class="second">{one.note}</span>}</td>
            <td class="wide"><Ago ms={one.changed_ms} /></td>
            <td>{canAll('operate') && <div class="actions end"><Button kind="plain" aria-label={`Delete ${one.name}`} onClick={() => void forget(one)}>Delete</Button></div>}</td></tr>)}</tbody></table></div>}</Paged>}</Load></Panel>}
      {can('operate') && canAll('operate') && <Save reload={filters.reload} />}
    </div>
    {renaming && <Rename group={renaming} taken={(name) => (groups.data?.groups ?? []).some((one) => one.name === name)} close={() => setRenaming(null)} reload={groups.reload} />}
  </Screen>;
}
