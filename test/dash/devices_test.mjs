// devices_test.mjs - logging in and out, and the list of devices: empty, filled live, filtered, paged, in every theme and width.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { finish, isClean, logIn, look, openPage, Server, shot, sightName, sights, visit } from './harness.mjs';

let server;
before(async () => { server = await Server.start(); });
after(finish);

test('a wrong token is refused in words, a right one opens, and logging out closes', async () => {
  const page = await openPage(server);
  page.expected.push(/401 \(Unauthorized\)/);
  await page.goto(`${page.base}/`);
  await isClean(page, 'login');
  await shot(page, 'login');
  await page.getByLabel('Admin token').fill('molt_wrong');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('alert').filter({ hasText: 'token' }).waitFor();
  await page.getByLabel('Admin token').fill(server.token);
  await page.getByLabel('Admin token').press('Enter');
  await page.getByRole('navigation').waitFor();
  const cookies = await page.context().cookies();
  const cookie = cookies.find((one) => one.name === 'molt_session');
  assert.equal(cookie.httpOnly, true);
  assert.equal(cookie.sameSite, 'Strict');
  assert.ok(!JSON.stringify(await page.evaluate(() => ({ ...localStorage, ...sessionStorage }))).includes(server.token));
  await page.reload();
  await page.getByRole('navigation').waitFor();
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByLabel('Admin token').waitFor();
  await page.reload();
  await page.getByLabel('Admin token').waitFor();
  assert.deepEqual(page.problems, []);
});

test('a changing request of another page is refused: it has the cookie and not the key', async () => {
  const page = await openPage(server);
  await logIn(page, server);
  page.expected.push(/401 \(Unauthorized\)/);
  const status = await page.evaluate(async () => (await fetch('api/v1/tokens', { method: 'POST', body: '{}' })).status);
  assert.equal(status, 401);
});

test('no device yet, then one appears by itself', async () => {
  const page = await openPage(server);
  await logIn(page, server);
  await visit(page, 'devices');
  await page.getByText('No device yet').waitFor();
  await isClean(page, 'no devices');
  await server.publish('1.bin', 1);
  const id = await server.live(1);
  await page.getByRole('link', { name: id.match(/../g).join(':') }).waitFor();
  await page.getByText('Live').waitFor();
});

test('there are sixty more', async () => {
  const ids = Array.from({ length: 60 }, (_, n) => `a0b1c2d3e4${n.toString(16).padStart(2, '0')}`);
  await server.call('POST', 'devices', { devices: ids.map((id) => ({ id, product: 'lamp', group: 'roof', tags: ['canary'] })) });
});

let list;
for (const sight of sights) {
  test(`the list: ${sightName(sight)}`, async () => {
    if (!list) { list = await openPage(server, sight); await logIn(list, server); }
    const page = list;
    await look(page, sight);
    await visit(page, 'devices');
    await page.getByRole('group', { name: 'Filters' }).getByRole('button', { name: 'All', exact: true }).click();
    await page.getByText('61 devices').waitFor();
    await isClean(page, 'list');
    await shot(page, `devices-${sight.theme}-${sight.width}`);
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByText('51–61 of 61').waitFor();
    await page.getByRole('button', { name: 'Previous' }).click();
    await page.getByText('1–50 of 61').waitFor();
    await page.getByLabel('Filter', { exact: true }).fill('id = a0b1c2d3e405');
    await page.getByRole('button', { name: 'Filter', exact: true }).click();
    await page.getByText('1 device matches').waitFor();
    page.expected.push(/400 \(Bad Request\)/);
    await page.getByLabel('Filter', { exact: true }).fill('id = (');
    await page.getByRole('button', { name: 'Filter', exact: true }).click();
    await page.locator('#filter-error').waitFor();
    await isClean(page, 'a filter that is none');
    await page.getByLabel('Filter', { exact: true }).fill('tag = nobody');
    await page.getByRole('button', { name: 'Filter', exact: true }).click();
    await page.getByText('No device matches').waitFor();
    await isClean(page, 'nothing matches');
  });
}
