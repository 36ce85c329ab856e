// devices.tsx - the fleet, a page at a time: the server filters, counts and pages, so the size of the fleet costs nothing here.
import { useEffect, useState } from 'preact/hooks';
import { query } from '../api';
import { toast } from '../dialog';
import { count, mac, many } from '../format';
import { Load, onRules, useLoad } from '../load';
import { Pager } from '../pager';
import { device as deviceAddress, replace, type Route, to } from '../route';
import { can } from '../session';
import type { Device, DevicePage, Product } from '../types';
import { Ago, Badge, Button, Empty, LinkButton, Panel, ReasonText, Screen, State } from '../ui';
import { Bulk, BulkAll } from './bulk';

const PAGE = 50;
const KEPT = 'molt-filters';

const common: { name: string; filter: string }[] = [
  { name: 'All', filter: '' },
  { name: 'Failed', filter: 'state in (failed, rolled-back)' },
  { name: 'Updating', filter: 'state in (offered, downloading, downloaded, trial)' },
  { name: 'No product', filter: 'product = ""' },
  { name: 'Held', filter: 'held = yes' },
  { name: 'Silent for a week', filter: 'seen > 7d' },
];

function keptFilters(): { name: string; filter: string }[] {
  try {
    const all: unknown = JSON.parse(localStorage.getItem(KEPT) ?? '[]');
    return Array.isArray(all) ? all.filter((one): one is { name: string; filter: string } =>
      typeof (one as { name?: unknown }).name === 'string' && typeof (one as { filter?: unknown }).filter === 'string') : [];
  } catch { return []; }
}

function FilterBar({ filter, error, set }: { filter: string; error: string | null; set: (filter: string) => void }) {
  const [words, setWords] = useState(filter);
  const [kept, setKept] = useState(keptFilters);
  useEffect(() => setWords(filter), [filter]);
  const keep = (all: { name: string; filter: string }[]) => { localStorage.setItem(KEPT, JSON.stringify(all)); setKept(all); };
  const isKept = kept.some((one) => one.filter === filter);
  const isCommon = common.some((one) => one.filter === filter);
  return <>
    <div class="chips" role="group" aria-label="Filters">
      {[...common, ...kept].map((one) => <button type="button" class="chip" key={one.name + one.filter} aria-pressed={one.filter === filter}
        title={one.filter || 'every device'} onClick={() => set(one.filter)}>{one.name}</button>)}
    </div>
    <form class="filter" role="search" onSubmit={(event) => { event.preventDefault(); set(words.trim()); }}>
      <input type="text" aria-label="Filter" spellcheck={false} autocapitalize="off" value={words} maxLength={511}
        aria-invalid={error ? 'true' : undefined} aria-describedby={error ? 'filter-error' : undefined}
        placeholder='tag = canary and seen < 7d' onInput={(event) => setWords(event.currentTarget.value)} />
      <Button type="submit" kind="main">Filter</Button>
      {filter && !isCommon && (isKept
        ? <Button onClick={() => { const before = kept; keep(kept.filter((one) => one.filter !== filter)); toast('The filter is forgotten.', () => Promise.resolve(keep(before))); }}>Forget</Button>
        : <Button onClick={() => keep([...kept, { name: filter.length > 28 ? `${filter.slice(0, 27)}…` : filter, filter }])}>Keep</Button>)}
    </form>
  </>;
}

function Row({ one, chosen, choose }: { one: Device; chosen: boolean; choose: (on: boolean) => void }) {
  return <tr>
    <td class="check"><input type="checkbox" aria-label={`Choose ${one.id}`} checked={chosen} onChange={(event) => choose(event.currentTarget.checked)} /></td>
    <td>
      <a class="main mono" data-row href={deviceAddress(one.id)}>{mac(one.id)}</a>
      <span class="second">{one.product ?? <em>no product</em>}{one.chip && ` · ${one.chip}`}{one.group && ` · ${one.group}`}</span>
      {(one.tags.length > 0 || one.held || one.pin !== null || one.attempt.state !== 'none') && <span class="badges">
        {one.attempt.state !== 'none' && <span class="narrow"><State of={one.attempt.state} /></span>}
        {one.held && <Badge tone="warn" icon="hold">held</Badge>}
        {one.pin !== null && <Badge tone="calm" icon="tag">pinned to {one.pin}</Badge>}
        {one.tags.map((tag) => <Badge tone="calm" icon="tag" key={tag}>{tag}</Badge>)}
      </span>}
      {one.reason && one.reason.id !== 'up-to-date' && <span class="narrow"><span class="second"><ReasonText reason={one.reason} /></span></span>}
    </td>
    <td>{one.running.version ?? <span class="dim" title="not known">–</span>}
      {one.attempt.code !== null && one.attempt.code !== one.running.code && <span class="second nowrap">→ {one.attempt.code}</span>}</td>
    <td class="wide"><State of={one.attempt.state} /></td>
    <td class="wide"><ReasonText reason={one.reason} /></td>
    <td><Ago ms={one.last_seen_ms} /></td>
  </tr>;
}

function Table({ page, chosen, setChosen }: { page: DevicePage; chosen: Map<string, Device>; setChosen: (map: Map<string, Device>) => void }) {
  const choose = (ones: Device[], on: boolean) => {
    const next = new Map(chosen);
    for (const one of ones) if (on) next.set(one.id, one); else next.delete(one.id);
    setChosen(next);
  };
  return <div class="table-wrap"><table>
    <thead><tr>
      <th class="check"><input type="checkbox" aria-label="Choose this page" checked={page.devices.length > 0 && page.devices.every((one) => chosen.has(one.id))}
        onChange={(event) => choose(page.devices, event.currentTarget.checked)} /></th>
      <th scope="col">Device</th><th scope="col">Runs</th><th scope="col" class="wide">Update</th><th scope="col" class="wide">Why</th><th scope="col">Seen</th>
    </tr></thead>
    <tbody>{page.devices.map((one) => <Row key={one.id} one={one} chosen={chosen.has(one.id)} choose={(on) => choose([one], on)} />)}</tbody>
  </table></div>;
}

export function Devices({ route }: { route: Route }) {
  const filter = route.params.get('filter') ?? '', q = route.params.get('q') ?? '', after = route.params.get('after') ?? '';
  const [before, setBefore] = useState<string[]>([]);
  const [chosen, setChosen] = useState(new Map<string, Device>());
  const [everyone, setEveryone] = useState(false);
  const page = useLoad<DevicePage>(`devices${query({ limit: PAGE, filter, q, after })}`);
  const products = useLoad<{ products: Product[] }>('products', onRules);
  const matching = useLoad<{ total: number }>(`device-counts${query({ by: 'product', filter })}`, undefined, 5000);
  const wrong = page.status === 400 ? page.error : null;
  const clear = () => { setChosen(new Map()); setEveryone(false); };
  const reload = () => { page.reload(); matching.reload(); };
  const bulk = { clear, reload, products: products.data?.products ?? [] };
  const show = (next: string) => { setBefore([]); clear(); replace(to('devices', { filter: next })); };
  const turn = (next: string | null, trail: string[]) => { setBefore(trail); replace(to('devices', { filter, q, after: next })); window.scrollTo(0, 0); };
  const total = matching.data?.total;
  return <Screen title="Devices" sub={total !== undefined ? many(total, filter ? 'device matches' : 'device', filter ? 'devices match' : 'devices') : ' '}
    actions={<><a class="button" href={`api/v1/devices.csv${query({ filter })}`} download="devices.csv">Export</a><LinkButton href={to('welcome')} icon="chip">Connect a device</LinkButton></>}>
    <FilterBar filter={filter} error={wrong} set={show} />
    {wrong && <p class="note bad" id="filter-error" role="alert">{wrong}</p>}
    <div class="stack" style={{ marginTop: '1rem' }}>
      <Panel class="flush">
        {chosen.size > 0 && can('operate') && (everyone && total !== undefined ? <BulkAll filter={filter} total={total} {...bulk} />
          : <Bulk chosen={[...chosen.values()]} {...bulk} more={total !== undefined && total > chosen.size && !q
            && <Button kind="plain" onClick={() => setEveryone(true)}>All {count(total)}{filter && ' that match'}</Button>} />)}
        {!wrong && <Load of={page} lines={10}>{(data) => data.devices.length === 0
          ? filter || q || after
            ? <Empty title="No device matches" icon="search"><p>Fields are <code>product</code>, <code>tag</code>, <code>group</code>, <code>version</code>, <code>state</code>, <code>seen</code> and more.</p>
              <Button onClick={() => show('')}>Show all devices</Button></Empty>
            : <Empty title="No device yet" icon="chip"><p>A device is listed as soon as it asks this server for an update.</p>
              <LinkButton kind="main" href={to('welcome')}>Connect the first one</LinkButton></Empty>
          : <>
            <Table page={data} chosen={chosen} setChosen={(map) => { setEveryone(false); setChosen(map); }} />
            <Pager first={before.length * PAGE + 1} shown={data.devices.length} of={q ? undefined : total}
              previous={after ? () => turn(before[before.length - 1] || null, before.slice(0, -1)) : undefined} next={data.next ? () => turn(data.next, [...before, after]) : undefined} />
          </>}</Load>}
      </Panel>
    </div>
  </Screen>;
}
