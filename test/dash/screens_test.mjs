// screens_test.mjs - every screen, filled and empty, in both themes and at 390 px: nothing that axe finds, no console error, no
// violation of the content policy, no request to elsewhere, no scrolling sideways. And every screen while an answer is awaited, when
// it is refused, and when it is asked again.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { fleet } from './fleet.mjs';
import { finish, isClean, logIn, look, openPage, Server, settled, shot, sightName, sights, visit } from './harness.mjs';

let empty, full;

before(async () => {
  empty = await Server.start();
  full = await fleet(8);
});
after(finish);

const screens = [
  ['overview', ''], ['devices', 'devices'], ['device', 'devices/240ac4000001'], ['no-device', 'devices/ffffffffffff'], ['releases', 'releases'],
  ['release', 'releases/2'], ['publish', 'releases/new'], ['rollouts', 'rollouts'], ['rollout', 'rollouts/2'], ['rollout-1', 'rollouts/1'], ['plan', 'rollouts/new?release=1'],
  ['enrolment', 'enrolment'], ['groups', 'groups'], ['webhooks', 'webhooks'], ['settings', 'settings'], ['health', 'health'], ['users', 'users'], ['audit', 'audit'],
  ['account-token', 'account'], ['welcome', 'welcome'], ['nowhere', 'nowhere'],
];
const silent = ['no-device', 'publish', 'account-token', 'nowhere']; // these wait for nothing

// dark after light of the same width: colours are all that is new
for (const [which, server, seen] of [['full', () => full, sights], ['empty', () => empty, [sights[0], sights[3]]]]) {
  test(`every screen, ${which}`, async () => {
    const page = await openPage(server(), seen[0]);
    page.expected.push(/404 \(Not Found\)/);
    await logIn(page, server());
    for (const [name, path] of screens) {
      await look(page, seen[0]);
      await visit(page, path);
      await settled(page);
      for (const sight of seen) {
        await look(page, sight);
        await isClean(page, `${which} ${name}, ${sightName(sight)}`, which === 'full' && sight.theme === 'dark' ? 'colours' : undefined);
        await shot(page, `${name}-${which}-${sight.theme}-${sight.width}`, { fullPage: true });
      }
    }
    await page.context().close();
  });
}

test('the list of devices says why one is not updated, on a phone, too', async () => {
  const page = await openPage(full);
  await logIn(page, full);
  for (const sight of [sights[0], sights[2]]) {
    await look(page, sight);
    await visit(page, 'devices?filter=product%20%3D%20%22%22');
    await settled(page);
    const rows = await page.evaluate(() => [...document.querySelectorAll('tbody tr')].map((row) => row.innerText.split('not assigned to a product').length - 1));
    assert.deepEqual(rows, [1, 1], sightName(sight)); // innerText: what is seen, once in each row
  }
  await page.context().close();
});

test('every screen says that it waits, that it was refused and why, and goes on when asked again', async () => {
  const page = await openPage(full);
  await logIn(page, full);
  page.expected.push(/403 \(Forbidden\)/);
  let mode = 'pass', release = () => undefined, held = Promise.resolve();
  const refusal = JSON.stringify({ reason: 'forbidden', title: 'The roles of who asks do not allow this.', detail: 'A test refuses it.' });
  await page.route(/\/api\/v1\/(?!session|events)/, async (route) => {
    if (mode === 'hold') await held;
    const done = mode === 'refuse' ? route.fulfill({ status: 403, body: refusal, contentType: 'application/problem+json' }) : route.continue();
    await done.catch(() => undefined); // the page may have left meanwhile
  });
  await visit(page, 'nowhere'); // else the overview is here already
  for (const [name, path] of screens.filter(([one]) => !silent.includes(one))) {
    held = new Promise((done) => { release = done; });
    mode = 'hold';
    await visit(page, path);
    await page.locator('.skeleton span').first().waitFor();
    mode = 'refuse';
    release();
    await page.getByRole('alert').filter({ hasText: 'A test refuses it.' }).first().waitFor();
    await settled(page); // each part of it was refused
    if (['overview', 'device'].includes(name)) { await isClean(page, `${name}, refused`); await shot(page, `${name}-refused`); }
    mode = 'pass';
    await page.waitForFunction(() => { // what comes then may have been refused as well, and is asked again
      const again = [...document.querySelectorAll('.empty[role="alert"] button')];
      for (const one of again) if (!one.dataset.asked) { one.dataset.asked = 'yes'; one.click(); }
      return again.length === 0;
    }, undefined, { polling: 100 });
    await settled(page);
    assert.equal(await page.getByRole('alert').count(), 0, name);
  }
  assert.deepEqual(page.problems, []);
});
