// operate_test.mjs - groups, saved filters, webhooks, keys, settings, servers on one store and long lists in the dashboard, done as a
// person does it, and looked up in the API afterwards.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import http from 'node:http';
import test, { after, before } from 'node:test';
import { finish, isClean, logIn, openPage, Server, shot, visit } from './harness.mjs';

let server, page, receiver, got;
before(async () => {
  server = await Server.start('--webhook-allow', '127.0.0.0/8');
  got = [];
  receiver = http.createServer((request, answer) => { got.push(request.headers); request.resume(); request.on('end', () => answer.end()); });
  await new Promise((done) => receiver.listen(0, '127.0.0.1', done));
  page = await openPage(server);
  await logIn(page, server);
});
after(async () => { await finish(); receiver.close(); });

const button = (name) => page.getByRole('button', { name, exact: true });
const dialog = () => page.getByRole('dialog');
const said = (words) => page.getByRole('status').filter({ hasText: words }).first().waitFor();

test('a group: renamed, dissolved after a question', async () => {
  for (const id of ['a00000000001', 'a00000000002']) await server.call('PUT', `devices/${id}`, { group: 'roof' });
  await visit(page, 'groups');
  await button('Rename roof').click();
  await dialog().getByLabel('New name').fill('attic');
  await isClean(page, 'rename a group');
  await dialog().getByRole('button', { name: 'Rename' }).click();
  await said('roof is attic now.');
  assert.deepEqual((await server.call('GET', 'groups')).groups, [{ name: 'attic', devices: 2 }]);
  await button('Dissolve attic').click();
  await dialog().getByRole('button', { name: 'Dissolve' }).click();
  await said('attic is dissolved.');
  await page.getByText('No device is in a group').waitFor();
  assert.equal((await server.call('GET', 'groups')).groups.length, 0);
  await button('Undo').last().click();
  await page.getByRole('link', { name: 'attic' }).waitFor();
  assert.deepEqual((await server.call('GET', 'groups')).groups, [{ name: 'attic', devices: 2 }]);
  await page.keyboard.press('/');
  await page.getByLabel('Search everywhere').fill('atti');
  await page.getByRole('option', { name: 'attic' }).click();
  await page.getByText('2 devices match').waitFor();
});

test('a filter: saved, refused when it is none or there already, deleted and brought back', async () => {
  page.expected.push(/40[0]|428/);
  await visit(page, 'groups');
  await page.getByRole('textbox', { name: 'Name' }).fill('low');
  await page.getByLabel('Filter', { exact: false }).fill('colour = red');
  await button('Save').click();
  await said('missing, unknown or malformed');
  await page.getByLabel('Filter', { exact: false }).fill('group = cellar');
  await button('Save').click();
  await said('low is saved.');
  await page.getByRole('link', { name: 'low' }).waitFor();
  await isClean(page, 'filters');
  await page.getByRole('textbox', { name: 'Name' }).fill('low');
  await page.getByLabel('Filter', { exact: false }).fill('group = roof');
  await button('Save').click();
  await said('would replace something');
  await button('Delete low').click();
  await said('low is deleted.');
  await button('Undo').last().click();
  await page.getByRole('link', { name: 'low' }).waitFor();
  assert.equal((await server.call('GET', 'filters/low')).filter, 'group = cellar');
});

test('a webhook: made with a secret that is shown once, tested, its log, off, deleted', async () => {
  const url = `http://127.0.0.1:${receiver.address().port}/`;
  await visit(page, 'webhooks');
  await page.getByText('Nobody is told').waitFor();
  await page.getByLabel('Address').fill(url);
  await button('Make').click();
  const secret = await dialog().locator('pre').innerText();
  assert.match(secret, /^whsec_.{32}$/);
  await isClean(page, 'a secret');
  await dialog().getByRole('button', { name: 'Done' }).click();
  const asked = new Promise((done) => receiver.once('request', done));
  await button(`Test ${url}`).click();
  await said('A test is on its way');
  await asked;
  assert.match(got[0]['webhook-signature'], /^v1,/);
  await button(`Log of ${url}`).click();
  while (!await dialog().getByText('delivered').isVisible()) await dialog().getByRole('button', { name: 'Look again' }).click();
  await isClean(page, 'the log of a webhook');
  await dialog().getByRole('button', { name: 'Close' }).click();
  await button(`Switch ${url} off`).click();
  await said('It is told nothing.');
  await button(`Switch ${url} on`).waitFor();
  assert.equal((await server.call('GET', 'webhooks')).webhooks[0].enabled, false);
  await button('Undo').last().click();
  await button(`Switch ${url} off`).waitFor();
  assert.equal((await server.call('GET', 'webhooks')).webhooks[0].enabled, true);
  await button(`Delete ${url}`).click();
  await dialog().getByRole('button', { name: 'Delete' }).click();
  await page.getByText('Nobody is told').waitFor();
  assert.equal((await server.call('GET', 'webhooks')).webhooks.length, 0);
});

test('a key: trusted, shown, trusted no more after a question, and again', async () => {
  await server.publish('1.bin', 100, '--version', '1.0.0');
  const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' });
  const keys = async () => (await server.call('GET', 'products/lamp/keys')).keys;
  await visit(page, 'settings');
  await page.getByText('None: images need no signature.').waitFor();
  await button('Trust a key for lamp').click();
  page.expected.push(/400|422/);
  await dialog().getByLabel('Public key').fill('no key');
  await dialog().getByRole('button', { name: 'Trust it' }).click();
  await page.getByRole('status').filter({ hasText: 'key' }).first().waitFor();
  await dialog().getByLabel('Public key').fill(pem);
  await isClean(page, 'a key');
  await dialog().getByRole('button', { name: 'Trust it' }).click();
  await said('lamp trusts the key.');
  const [key] = await keys();
  await button(`Trust key ${key.id} no more`).click();
  await dialog().getByText('lamp then takes unsigned images').waitFor();
  await dialog().getByRole('button', { name: 'Trust it no more' }).click();
  await said('is trusted no more');
  assert.deepEqual(await keys(), []);
  await button('Undo').last().click();
  await button(`Trust key ${key.id} no more`).waitFor();
  assert.deepEqual(await keys(), [key]);
});

test('what the server was started with is there to read, and to look for', async () => {
  const { settings } = await server.call('GET', 'settings');
  await visit(page, 'settings');
  await page.getByText(`1–15 of ${settings.length}`).waitFor();
  await page.getByLabel('Look for a setting').fill('webhook-allow');
  await page.getByRole('row').filter({ hasText: '--webhook-allow' }).getByText('127.0.0.0/8', { exact: true }).waitFor();
  await page.getByLabel('Look for a setting').fill('no such words');
  await page.getByText('No setting has these words').waitFor();
  await button('Show all').click();
  await button('Only what is set').click();
  const set = settings.filter((one) => one.values.length > 0).length;
  await page.waitForFunction((n) => document.querySelectorAll('tbody tr').length === n, set);
});

test('long lists are drawn a page at a time', async () => {
  for (let n = 0; n < 30; n++) await server.call('POST', 'tokens', { label: `t${n}`, roles: ['viewer'] });
  await visit(page, 'users');
  await page.getByText('1–25 of 31').waitFor();
  assert.equal(await page.getByRole('button', { name: /^Revoke/ }).count(), 25);
  await button('Next').click();
  await page.getByText('26–31 of 31').waitFor();
  assert.equal(await page.getByRole('button', { name: /^Revoke/ }).count(), 6);
  assert.equal(await button('Next').isDisabled(), true);
  await isClean(page, 'the second page');
});

test('servers that share a store are listed, and one that is silent can be forgotten', async () => {
  const now = Date.now(), gone = [];
  const node = (name, live, leads) => ({ name, live, leads, epoch: 1, started_ms: now - 3600000, seen_ms: now - (live ? 900 : 600000), behind_ms: live ? 900 : 600000, generation: 4, version: '0.1.0', schema: 14 });
  let nodes = [node('one', true, true), node('two', true, false), node('old', false, false)]; // a store of several servers is tested in test/e2e/nodes
  await page.route(/\/api\/v1\/nodes/, (route) => {
    if (route.request().method() === 'DELETE') { gone.push(route.request().url().split('/').pop()); nodes = nodes.slice(0, 2); }
    return route.fulfill({ json: route.request().method() === 'DELETE' ? { deleted: 'old' } : { nodes } });
  });
  await visit(page, 'health');
  await page.getByRole('row').filter({ hasText: 'one' }).getByText('leads').waitFor();
  await isClean(page, 'several servers');
  await shot(page, 'health-nodes', { fullPage: true });
  assert.equal(await button('Forget one').count(), 0);
  await button('Forget old').click();
  await dialog().getByRole('button', { name: 'Forget' }).click();
  await said('old is forgotten.');
  await page.getByRole('row').filter({ hasText: 'old' }).waitFor({ state: 'detached' });
  assert.deepEqual(gone, ['old']);
  await page.unroute(/\/api\/v1\/nodes/);
});
