// welcome.tsx - from nothing to the first device: publish a firmware, paste a sketch, and see the device appear.
import { useEffect, useState } from 'preact/hooks';
import { mac } from '../format';
import { Load, onRules, useLoad } from '../load';
import { watch } from '../live';
import { device, to } from '../route';
import { canAll, session } from '../session';
import type { Device, Product, Server } from '../types';
import { Badge, Button, Copy, Field, LinkButton, Panel, Screen, State } from '../ui';
import { Publisher } from './releases';

type Kind = 'molt' | 'stock';

const stock = (base: string): string => `// Any ESP8266 or ESP32 sketch: the one that asks <base>/<MAC>.version and fetches <base>/<MAC>.bin
const char* fwUrlBase = "${base}/fota/";
`;

const sketch = (base: string, product: string): string => `#if defined(ESP8266)
#include <ESP8266WiFi.h>
#else
#include <WiFi.h>
#endif
#include <Molt.h>

MOLT_FIRMWARE("${product}", "1.0.0", 1)  // product, version, a number that rises

void setup()
{
  WiFi.mode(WIFI_STA);
  WiFi.begin("your-network", "your-password");
  Molt.begin("${base}");
}

void loop()
{
  Molt.loop();  // returns soon, always: your own code goes on below
}
`;

/** The device plane as a device on the network would reach it. */
function baseOf(server: Server | null): string {
  if (server?.public_url) return server.public_url;
  const plane = server?.listeners.find((one) => one.plane === 'device');
  const scheme = plane?.url?.startsWith('https:') ? 'https' : 'http';
  return `${scheme}://${location.hostname}:${plane?.port ?? 8266}`;
}

function useFirstContact(): string | null {
  const [id, setId] = useState<string | null>(null);
  useEffect(() => watch((change) => { if (change.kind === 'device') setId(change.id); }), []);
  return id;
}

function Appeared({ id }: { id: string }) {
  const row = useLoad<Device>(`devices/${encodeURIComponent(id)}`);
  const one = row.data;
  return <div class="verdict good" role="status">
    <b>{mac(id)} is here</b>
    {one && <p>{[one.product ?? 'no product yet', one.chip, one.running.version && `runs ${one.running.version}`].filter(Boolean).join(' · ')} <State of={one.attempt.state} /></p>}
    <p class="actions"><LinkButton kind="main" href={device(id)}>Look at it</LinkButton>{one && !one.product && <LinkButton href={to('enrolment')}>Give it a product</LinkButton>}</p>
  </div>;
}

export function Welcome() {
  const server = useLoad<Server>('server', () => false);
  const products = useLoad<{ products: Product[] }>('products', onRules);
  const [kind, setKind] = useState<Kind>('molt');
  const [base, setBase] = useState<string | null>(null);
  const seen = useFirstContact();
  const address = (base ?? baseOf(server.data)).replace(/\/+$/, '');
  const code = kind === 'molt' ? sketch(address, products.data?.products[0]?.name ?? "lamp") : stock(address);
  const published = (products.data?.products ?? []).some((one) => one.releases > 0);
  return <Screen title={published ? 'Connect a device' : 'Welcome'} sub="Three steps to the first update over the air.">
    {!session().users && canAll('admin') && <p class="note">You are logged in by a token, and nobody has a login of his own yet. <a href={to('users')}>Make one for yourself</a>: then the audit log says who did what.</p>}
    <div class="wizard">
      <Panel title="Publish a firmware" class={published ? 'done' : ''}>
        <Load of={products}>{(all) => (published ? <p>{all.products.map((one) => `${one.name} ${one.newest_version ?? ''}`).join(', ')} · <a href={to('releases/new')}>publish another</a></p>
          : <Publisher done={products.reload} />)}</Load>
      </Panel>
      <Panel title="Tell the device where to ask" class={seen ? 'done' : ''}>
        <div class="form">
          <Field label="Address of this server" hint="as the device reaches it: not localhost"><input type="text" class="mono" value={address} onInput={(event) => setBase(event.currentTarget.value)} /></Field>
          {/^https?:\/\/(localhost|127\.|\[::1\])/.test(address) && <p class="note warn">A device cannot reach this address: put the name or number of this machine on your network in its place.</p>}
          <div class="chips" role="group" aria-label="Kind of sketch" style={{ paddingBottom: 0 }}>
            <button type="button" class="chip" aria-pressed={kind === 'molt'} onClick={() => setKind('molt')}>A sketch with molt</button>
            <button type="button" class="chip" aria-pressed={kind === 'stock'} onClick={() => setKind('stock')}>A sketch as it is</button>
          </div>
          <pre tabIndex={0} aria-label="Sketch">{code}</pre>
          <div class="actions"><Copy value={code} label="Copy the sketch" /></div>
        </div>
      </Panel>
      <Panel title="Watch it appear" class={seen ? 'done' : ''}>
        {seen ? <Appeared id={seen} /> : <p><Badge tone="busy">waiting</Badge> for the first device to ask. Flash the sketch and leave this page open.</p>}
        {!seen && <p class="dim" style={{ marginTop: '0.6rem' }}>Nothing comes? On the server, <code>molt doctor {address}/fota/ --mac MAC</code> says what a device would see.</p>}
      </Panel>
      {seen && <div><Button onClick={() => window.location.assign(to(''))}>To the overview</Button></div>}
    </div>
  </Screen>;
}
