// fleet.mjs - a server with a past: releases, rollouts that go well and badly, devices that updated, failed, wait to be assigned.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Server } from './harness.mjs';

/** Half a day of requests and a week of versions, as a server that ran for so long would have noted them. */
function trends(now, count) {
  const minutes = Array.from({ length: 300 }, (_, n) => now - (300 - n) * 60000);
  const hours = Array.from({ length: 168 }, (_, n) => now - (168 - n) * 3600000);
  const moved = (n) => Math.floor((count * 0.7) / (1 + Math.exp((100 - n) / 14)));
  return {
    rates: { times_ms: minutes, requests: minutes.map((_, n) => 3 + 2 * Math.sin(n / 20)), bytes: minutes.map((_, n) => 90000 + 80000 * Math.cos(n / 20)) },
    shares: { times_ms: hours, series: [
      { product: 'lamp', version: '1.0.0', counts: hours.map((_, n) => count - moved(n)) }, { product: 'lamp', version: '1.1.0', counts: hours.map((_, n) => moved(n)) },
    ] },
    rollouts: [{ rollout: 1, every: 1, times_ms: minutes, offered: minutes.map((_, n) => Math.floor((count * n) / 400)), succeeded: minutes.map((_, n) => Math.floor((count * n) / 450)), failed: minutes.map(() => 0) }],
  };
}

export async function fleet(count) {
  const server = await Server.start();
  const release = async (name, code, ...options) => {
    await server.publish(name, code, ...options);
    return (await server.call('GET', 'releases')).releases.find((one) => one.code === code).id;
  };
  await release('1.bin', 100, '--version', '1.0.0');
  for (let n = 1; n <= count; n++) await server.live(n, '1.bin');
  await server.call('PATCH', 'products/lamp', { rollouts_only: true, trust_unverified: true });
  for (const n of [1, 2, 3]) await server.call('PATCH', `devices/240ac400000${n}`, { tags: ['canary'], group: 'roof' });
  const good = await release('2.bin', 110, '--version', '1.1.0');
  await server.call('POST', 'rollouts', { release: good, phases: [{ percent: 100, filter: 'tag = canary' }, { percent: 70 }, { percent: 100 }] });
  for (const n of [1, 2, 3]) await server.live(n, '1.bin');
  await server.call('POST', 'rollouts/1/next');
  for (let n = 4; n <= count; n++) await server.live(n, '1.bin');
  const bad = await release('3.bin', 120, '--version', '1.2.0', '--behaviour', 'crash');
  const made = await server.call('POST', 'rollouts', { release: bad, phases: [{ percent: 100, filter: 'tag = canary' }, { percent: 100 }], error_count: 2, error_percent: 30 });
  for (let n = 0; n < 8 && (await server.call('GET', `rollouts/${made.id}`)).status === 'running'; n++) await server.live(1 + (n % 2), '1.bin');
  for (const mac of ['5CCF7FC602E2', '5CCF7FC602E3'])
    await fetch(`${server.device}/fota/${mac}.version`, { headers: { 'User-Agent': 'ESP8266HTTPClient' } });
  await server.halt();
  writeFileSync(join(server.folder, 'data', 'trends.json'), JSON.stringify(trends(Date.now(), count)));
  await server.launch();
  return server;
}
