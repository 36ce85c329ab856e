// screens_test.mjs - every screen, filled and empty, in both themes and at 390 px: nothing that axe finds, no console error, no
// violation of the content policy, no request to elsewhere, no scrolling sideways; and the pictures of doc/ when asked for.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { finish, isClean, logIn, openPage, Server, shot, sightName, sights, visit } from './harness.mjs';

let empty, full;

/** Half a day of requests and a week of versions, as a server that ran for so long would have noted them. */
function trends(now) {
  const minutes = Array.from({ length: 300 }, (_, n) => now - (300 - n) * 60000);
  const hours = Array.from({ length: 168 }, (_, n) => now - (168 - n) * 3600000);
  return {
    rates: { times_ms: minutes, requests: minutes.map((_, n) => 3 + 2 * Math.sin(n / 20)), bytes: minutes.map((_, n) => 90000 + 80000 * Math.cos(n / 20)) },
    shares: { times_ms: hours, series: [
      { product: 'lamp', version: '1.0.0', counts: hours.map((_, n) => Math.max(2, 8 - Math.floor(n / 25))) },
      { product: 'lamp', version: '1.1.0', counts: hours.map((_, n) => Math.min(6, Math.floor(n / 25))) },
    ] },
    rollouts: [{ rollout: 1, every: 1, times_ms: minutes, offered: minutes.map((_, n) => Math.floor(n / 50)), succeeded: minutes.map((_, n) => Math.floor(n / 60)), failed: minutes.map(() => 0) }],
  };
}

before(async () => {
  empty = await Server.start();
  full = await Server.start();
  await full.halt();
  mkdirSync(join(full.folder, 'data'), { recursive: true });
  writeFileSync(join(full.folder, 'data', 'trends.json'), JSON.stringify(trends(Date.now())));
  await full.launch();
  await full.publish('1.bin', 100, '--version', '1.0.0');
  for (let n = 1; n <= 8; n++) await full.live(n, '1.bin');
  await full.call('PATCH', 'products/lamp', { rollouts_only: true, trust_unverified: true });
  for (const n of [1, 2, 3]) await full.call('PATCH', `devices/240ac400000${n}`, { tags: ['canary'], group: 'roof' });
  await full.publish('2.bin', 110, '--version', '1.1.0');
  const releases = (await full.call('GET', 'releases')).releases;
  const id = (code) => releases.find((one) => one.code === code).id;
  await full.call('POST', 'rollouts', { release: id(110), phases: [{ percent: 100, filter: 'tag = canary' }, { percent: 50 }, { percent: 100 }] });
  for (let n = 1; n <= 3; n++) await full.live(n, '1.bin');
  await full.publish('3.bin', 120, '--version', '1.2.0', '--behaviour', 'crash');
  const bad = (await full.call('GET', 'releases')).releases.find((one) => one.code === 120).id;
  await full.call('POST', 'rollouts', { release: bad, phases: [{ percent: 100, filter: 'tag = canary' }, { percent: 100 }], error_count: 1, error_percent: 1 });
  await full.live(1, '1.bin');
  await full.live(1, '1.bin');
  for (const mac of ['5CCF7FC602E2', '5CCF7FC602E3'])
    await fetch(`${full.device}/fota/${mac}.version`, { headers: { 'User-Agent': 'ESP8266HTTPClient' } });
});
after(finish);

const screens = [
  ['overview', ''], ['devices', 'devices'], ['device', 'devices/240ac4000001'], ['no-device', 'devices/ffffffffffff'], ['releases', 'releases'],
  ['release', 'releases/2'], ['publish', 'releases/new'], ['rollouts', 'rollouts'], ['rollout', 'rollouts/2'], ['rollout-1', 'rollouts/1'], ['plan', 'rollouts/new?release=1'],
  ['enrolment', 'enrolment'], ['settings', 'settings'], ['health', 'health'], ['welcome', 'welcome'], ['nowhere', 'nowhere'],
];


for (const sight of sights) {
  for (const [which, server] of [['full', () => full], ['empty', () => empty]]) {
    if (which === 'empty' && (sight.theme === 'dark') !== (sight.width < 500)) continue; // one of each will do
    test(`${which}: ${sightName(sight)}`, async () => {
      const page = await openPage(server(), sight);
      page.expected.push(/404 \(Not Found\)/);
      await logIn(page, server());
      for (const [name, path] of screens) {
        await visit(page, path);
        await page.waitForFunction(() => !document.querySelector('[aria-busy="true"]'));
        await isClean(page, `${which} ${name}, ${sightName(sight)}`);
        await shot(page, `${name}-${which}-${sight.theme}-${sight.width}`, { fullPage: true });
      }
    });
  }
}

