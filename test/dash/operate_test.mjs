// operate_test.mjs - groups, saved filters and webhooks in the dashboard, done as a person does it, and looked up in the API afterwards.
import assert from 'node:assert/strict';
import http from 'node:http';
import test, { after, before } from 'node:test';
import { finish, isClean, logIn, openPage, Server, visit } from './harness.mjs';

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
});

test('a filter: saved, refused when it is none or there already, deleted and brought back', async () => {
  page.expected.push(/40[0]|428/);
  await visit(page, 'groups');
  await page.getByLabel('Name').fill('low');
  await page.getByLabel('Filter', { exact: false }).fill('colour = red');
  await button('Save').click();
  await said('missing, unknown or malformed');
  await page.getByLabel('Filter', { exact: false }).fill('group = cellar');
  await button('Save').click();
  await said('low is saved.');
  await page.getByRole('link', { name: 'low' }).waitFor();
  await isClean(page, 'filters');
  await page.getByLabel('Name').fill('low');
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
  await button(`Delete ${url}`).click();
  await dialog().getByRole('button', { name: 'Delete' }).click();
  await page.getByText('Nobody is told').waitFor();
  assert.equal((await server.call('GET', 'webhooks')).webhooks.length, 0);
});
