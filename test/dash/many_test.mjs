// many_test.mjs - a table of 100,000 devices, on a server that has them: whatever the size of the fleet, a page is one request, fifty
// rows and so many elements; measure.mjs says how long it takes, which no test does.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { crowd, finish, isClean, logIn, openPage, Server, settled, visit } from './harness.mjs';

const ALL = 100000, ROWS = 50;
let server, page, asked;

before(async () => {
  server = await Server.start();
  await server.publish('1.bin', 100, '--version', '1.0.0');
  await crowd(server, ALL);
  page = await openPage(server);
  asked = [];
  page.on('request', (request) => { const path = request.url().split('/api/v1/')[1] ?? ''; if (/^devices\b/.test(path)) asked.push(path); });
  await logIn(page, server);
});
after(finish);

const rows = () => page.locator('tbody tr').count();
const elements = () => page.evaluate(() => document.querySelectorAll('*').length);
/** One request for devices, and no more than a page of them, came of it. */
async function once(what, words) {
  asked.length = 0;
  const answer = page.waitForResponse((response) => response.request().method() === 'GET' && /\/api\/v1\/devices\?/.test(response.url()));
  await what();
  const came = (await (await answer).json()).devices.length;
  await page.getByText(words, { exact: true }).waitFor();
  await settled(page);
  assert.equal(asked.length, 1, `${words}: ${asked.join(' ')}`);
  assert.ok(asked[0].includes(`limit=${ROWS}`), asked[0]);
  assert.ok(came <= ROWS && await rows() === came, `${words}: ${came} rows came, ${await rows()} are shown`);
}
const button = (name) => page.getByRole('button', { name, exact: true });

test('a page of 100,000 devices is a page: to the server, and to the browser', async () => {
  await once(() => visit(page, 'devices'), '1–50 of 100,000');
  const first = await elements();
  assert.ok(first < 2500, `${first} elements`);
  await once(() => button('Next').click(), '51–100 of 100,000');
  await once(() => button('Next').click(), '101–150 of 100,000');
  assert.match(asked[0], /after=/);
  assert.ok(await elements() < first + 100, 'what was turned over does not stay');
  await once(() => button('Previous').click(), '51–100 of 100,000');
  await isClean(page, 'many devices');
});

test('filters, too: one that many match, one that one matches, one that nobody matches', async () => {
  const filter = async (words) => { await page.getByLabel('Filter', { exact: true }).fill(words); await button('Filter').click(); };
  await once(() => filter('group = g7'), '1–50 of 2,000');
  await once(() => button('Next').click(), '51–100 of 2,000');
  await once(() => filter('id = a0b1c2018000'), '1–1 of 1');
  await once(() => filter('tag = nobody'), 'No device matches');
});

test('a device that calls a hundred times does not load the page a hundred times', async () => {
  await once(() => page.getByRole('group', { name: 'Filters' }).getByRole('button', { name: 'All', exact: true }).click(), '1–50 of 100,000');
  asked.length = 0;
  await page.getByRole('link', { name: 'a0:b1:c2:00:00:00' }).waitFor();
  await Promise.all(Array.from({ length: 99 }, (_, n) => server.call('PATCH', 'devices/a0b1c2000000', { tags: [`t${n}`] })));
  await server.call('PATCH', 'devices/a0b1c2000000', { tags: ['t99'] });
  await page.getByText('t99', { exact: true }).waitFor();
  assert.ok(asked.length < 50, `${asked.length} loads for a hundred changes`);
});

test('what is done to all that match is asked, and done by the server', async () => {
  const count = async (filter) => (await server.call('GET', `device-counts?by=product&filter=${encodeURIComponent(filter)}`)).total;
  await visit(page, `devices?filter=${encodeURIComponent('group = g7')}`);
  await page.getByText('1–50 of 2,000', { exact: true }).waitFor();
  await page.getByLabel('Choose this page').check();
  await button('All 2,000 that match').click();
  await button('Hold').click();
  await page.getByRole('dialog').getByText('on every page').waitFor();
  await isClean(page, 'all that match');
  await page.getByRole('dialog').getByRole('button', { name: 'Hold' }).click();
  await page.getByRole('status').filter({ hasText: '2,000 devices held' }).first().waitFor();
  assert.equal(await count('held = yes'), 2000);
  await page.getByLabel('Choose this page').check();
  await button('All 2,000 that match').click();
  await button('Retry').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Retry' }).click();
  await page.getByRole('status').filter({ hasText: 'what failed is offered again' }).first().waitFor();
  await page.getByLabel('Choose this page').check();
  await button('All 2,000 that match').click();
  await button('Forget').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await count('group = g7'), 2000);
  await button('Forget').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Forget' }).click();
  await page.getByRole('status').filter({ hasText: '2,000 devices forgotten' }).first().waitFor();
  assert.deepEqual([await count('group = g7'), await count('')], [0, 98000]);
  assert.deepEqual(page.problems, []);
});
