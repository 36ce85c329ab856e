// health.tsx - how the server itself is doing: is it ready, what does it carry, has it room.
import { useEffect } from 'preact/hooks';
import { api } from '../api';
import { act, ask } from '../dialog';
import { bytes, count, duration, percent } from '../format';
import { Load, useLoad } from '../load';
import { RatePlot } from '../plots';
import { canAll } from '../session';
import type { Node, Server, Status, Trends } from '../types';
import { Ago, Badge, Bar, Button, Fact, Icon, Panel, Screen } from '../ui';

export const isDiskLow = ({ disk }: Server): boolean => disk.total > 0 && disk.free < disk.total / 10;

const planes = { device: 'Devices', admin: 'Dashboard and API', socket: 'Command line' } as const;
const stores = { sqlite: 'SQLite', postgresql: 'PostgreSQL' } as const;

function Store({ status, data }: { status: Status | null; data: Server }) {
  const store = status?.store;
  return <Panel title="Database" actions={store && <Badge tone={store.ok ? 'good' : 'bad'}>{store.ok ? 'takes changes' : 'ill'}</Badge>}>
    {store && !store.ok && <p class="note bad" role="alert"><Icon name="fail" /> {store.why} <span class="dim">Since <Ago ms={store.since_ms} />.</span></p>}
    <dl class="facts"><Fact name="Kind">{store ? stores[store.backend] : '–'}</Fact><Fact name="Size">{bytes(data.disk.database)}</Fact>
      <Fact name="Changes not yet saved">{count(data.devices.unsaved)}</Fact><Fact name="Rows written">{count(data.devices.written)}</Fact></dl>
  </Panel>;
}

function Disk({ data }: { data: Server }) {
  const low = isDiskLow(data);
  return <Panel title="Disk" actions={data.disk.total > 0 && <Badge tone={low ? 'bad' : 'good'}>{low ? 'nearly full' : 'enough room'}</Badge>}>
    <Bar label="Disk" parts={[{ tone: low ? 'bad' : 'busy', n: data.disk.total - data.disk.free, name: 'used' }, { tone: 'rest', n: data.disk.free, name: 'free' }]} />
    <dl class="facts" style={{ marginTop: '0.6rem' }}><Fact name="Free">{bytes(data.disk.free)} of {bytes(data.disk.total)} ({percent(data.disk.free, data.disk.total)})</Fact>
      <Fact name="Folder"><span class="mono">{data.data_dir ?? '–'}</span></Fact></dl>
  </Panel>;
}

function Listeners({ data }: { data: Server }) {
  const where = (url: string | null, port: number) => (port !== 0 && url?.endsWith(':0') ? `${url.slice(0, -1)}${port}` : url);
  return <Panel title="Listens on"><dl class="facts one">
    {data.listeners.map((one) => <Fact key={`${one.plane} ${one.url}`} name={planes[one.plane]}><span class="mono">{where(one.url, one.port)}</span></Fact>)}
    {data.public_url && <Fact name="Devices reach it at"><span class="mono">{data.public_url}</span></Fact>}
  </dl></Panel>;
}

/** The servers that share the store; nothing where one has it alone. */
function Nodes() {
  const nodes = useLoad<{ nodes: Node[] }>('nodes', undefined, 5000);
  const forget = async (one: Node) => {
    if (!await ask(`Forget ${one.name}?`, { body: <p>For a server that never comes back: what it kept from the others is free at once. It cannot be undone.</p>, action: 'Forget', bad: true })) return;
    if (await act(`${one.name} is forgotten.`, () => api(`nodes/${encodeURIComponent(one.name)}`, { method: 'DELETE' }))) nodes.reload();
  };
  if (nodes.data?.nodes.length === 0) return null;
  return <Panel title="Servers on this store" class="flush"><Load of={nodes} lines={2}>{({ nodes: all }) => <div class="table-wrap"><table>
    <thead><tr><th scope="col">Server</th><th scope="col">State</th><th scope="col" class="wide">Started</th><th scope="col">Heard of</th><th scope="col"><span class="visually-hidden">Actions</span></th></tr></thead>
    <tbody>{all.map((one) => <tr key={one.name}><td><b>{one.name}</b><span class="second">molt {one.version}</span></td>
      <td><div class="badges"><Badge tone={one.live ? 'good' : 'bad'}>{one.live ? 'lives' : 'silent'}</Badge>{one.leads && <Badge tone="calm" icon="steps" title="It judges rollouts, ends offers that timed out, sends webhooks">leads</Badge>}</div></td>
      <td class="wide"><Ago ms={one.started_ms} /></td><td>{one.live ? 'just now' : `${duration(one.behind_ms / 1000)} ago`}</td>
      <td class="num">{!one.live && <Button kind="plain" aria-label={`Forget ${one.name}`} onClick={() => void forget(one)}>Forget</Button>}</td></tr>)}</tbody></table></div>}</Load></Panel>;
}

export function Health() {
  const server = useLoad<Server>('server', undefined, 5000);
  const status = useLoad<Status>('status', undefined, 5000);
  const trends = useLoad<Trends>('trends', () => false);
  useEffect(() => {
    const timer = window.setInterval(() => { server.reload(); status.reload(); trends.reload(); }, 30000);
    return () => window.clearInterval(timer);
  }, [server.reload, status.reload, trends.reload]);
  return <Screen title="Server health" sub={server.data && <>molt {server.data.version}, up for {duration((server.data.now_ms - server.data.started_ms) / 1000)}; <a href="./licences.txt">licences</a> of what this page is made of</>}>
    <Load of={server} lines={8}>{(data) => <div class="stack">
      <div class="figures">
        <div><b>{count(data.http.open)}</b><span>connections now</span></div>
        <div><b>{count(data.http.requests)}</b><span>requests since the start</span></div>
        <div class={data.http.refused > 0 ? 'warn' : ''}><b>{count(data.http.refused)}</b><span>refused</span></div>
        <div><b>{bytes(data.http.bytes_sent)}</b><span>sent</span></div>
        <div><b>{count(data.devices.count)}</b><span>devices in {bytes(data.devices.bytes)} of memory</span></div>
      </div>
      <div class="cols">
        <Panel title="Requests"><Load of={trends}>{(all) => <RatePlot trends={all} what="requests" />}</Load></Panel>
        <Panel title="Bytes sent"><Load of={trends}>{(all) => <RatePlot trends={all} what="bytes" />}</Load></Panel>
      </div>
      {canAll('admin') && <Nodes />}
      <div class="cols"><Disk data={data} /><Store status={status.data} data={data} /><Listeners data={data} /></div>
    </div>}</Load>
  </Screen>;
}
