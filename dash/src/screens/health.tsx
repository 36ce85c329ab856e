// health.tsx - how the server itself is doing.
import { useEffect } from 'preact/hooks';
import { bytes, count, duration, moment, percent } from '../format';
import { Load, useLoad } from '../load';
import { RatePlot } from '../plots';
import type { Server, Trends } from '../types';
import { Badge, Bar, Fact, Panel, Screen } from '../ui';

export function Health() {
  const server = useLoad<Server>('server', undefined, 5000);
  const trends = useLoad<Trends>('trends', () => false);
  useEffect(() => {
    const timer = window.setInterval(() => { server.reload(); trends.reload(); }, 30000);
    return () => window.clearInterval(timer);
  }, [server.reload, trends.reload]);
  return <Screen title="Server health" sub={server.data && `molt ${server.data.version}, up for ${duration((server.data.now_ms - server.data.started_ms) / 1000)}`}>
    <Load of={server} lines={8}>{(data) => {
      const used = data.disk.total - data.disk.free, low = data.disk.total > 0 && data.disk.free < data.disk.total / 10;
      return <div class="stack">
        <div class="figures">
          <div><b>{count(data.http.open)}</b><span>connections</span></div>
          <div><b>{count(data.http.requests)}</b><span>requests since the start</span></div>
          <div class={data.http.refused > 0 ? 'warn' : ''}><b>{count(data.http.refused)}</b><span>refused</span></div>
          <div><b>{bytes(data.http.bytes_sent)}</b><span>sent</span></div>
          <div><b>{count(data.devices.count)}</b><span>devices in {bytes(data.devices.bytes)}</span></div>
        </div>
        <div class="cols">
          <Panel title="Requests"><Load of={trends}>{(all) => <RatePlot trends={all} what="requests" />}</Load></Panel>
          <Panel title="Bytes sent"><Load of={trends}>{(all) => <RatePlot trends={all} what="bytes" />}</Load></Panel>
        </div>
        <div class="cols">
          <Panel title="Disk" actions={data.disk.total > 0 && <Badge tone={low ? 'bad' : 'good'}>{low ? 'nearly full' : 'enough room'}</Badge>}>
            <Bar label="Disk" parts={[{ tone: low ? 'bad' : 'busy', n: used, name: 'used' }, { tone: 'rest', n: data.disk.free, name: 'free' }]} />
            <dl class="facts"><Fact name="Free">{bytes(data.disk.free)} of {bytes(data.disk.total)} ({percent(data.disk.free, data.disk.total)})</Fact>
              <Fact name="Database">{bytes(data.disk.database)}</Fact><Fact name="Folder"><span class="mono">{data.data_dir}</span></Fact></dl>
          </Panel>
          <Panel title="Database">
            <dl class="facts"><Fact name="Changes not yet saved">{count(data.devices.unsaved)}</Fact><Fact name="Rows written">{count(data.devices.written)}</Fact>
              <Fact name="Started">{moment(data.started_ms)}</Fact><Fact name="New devices">{data.enrol}</Fact></dl>
          </Panel>
          <Panel title="Listens on">
            <dl class="facts">{data.listeners.map((one) => <Fact key={`${one.plane} ${one.url}`} name={one.plane === 'device' ? 'devices' : one.plane === 'admin' ? 'dashboard and API' : 'command line'}><span class="mono">{one.url}{one.port !== 0 && one.url?.endsWith(':0') && ` → ${one.port}`}</span></Fact>)}
              {data.public_url && <Fact name="Devices reach it at"><span class="mono">{data.public_url}</span></Fact>}</dl>
          </Panel>
        </div>
      </div>;
    }}</Load>
  </Screen>;
}
