// actions_test.mjs - everything a person can do in the dashboard, done as a person does it, and looked up in the API afterwards.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { finish, isClean, logIn, logInAs, openPage, Server, visit } from './harness.mjs';

let server, page;
before(async () => {
  server = await Server.start();
  await server.publish('1.bin', 100, '--version', '1.0.0');
  page = await openPage(server);
  await logIn(page, server);
});
after(finish);

const device = (id, body = { product: 'lamp' }) => server.call('PUT', `devices/${id}`, body);
const show = (id) => server.call('GET', `devices/${id}`);
const button = (name, options = {}) => page.getByRole('button', { name, exact: true, ...options });
const dialog = () => page.getByRole('dialog');
const said = (words) => page.getByRole('status').filter({ hasText: words }).first().waitFor();

test('a device: hold and undo, edit with every label, retry, a token once, forget after a question', async () => {
  await device('a00000000001');
  await visit(page, 'devices/a00000000001');
  await button('Hold').click();
  await said('Held');
  assert.equal((await show('a00000000001')).held, true);
  await button('Undo').last().click();
  await said('Undone.');
  assert.equal((await show('a00000000001')).held, false);
  await button('Edit').click();
  await dialog().getByLabel('Group').fill('roof');
  await dialog().getByLabel('Tags').fill('canary, north');
  await dialog().getByLabel('Attributes').fill('floor=12');
  await dialog().getByLabel('Pinned to').selectOption({ label: '1.0.0 (code 100)' });
  await isClean(page, 'edit a device');
  await dialog().getByRole('button', { name: 'Save' }).click();
  await said('Saved.');
  await page.getByText('pinned to 100').waitFor();
  const now = await show('a00000000001');
  assert.deepEqual([now.group, now.tags, now.attributes, now.pin], ['roof', ['canary', 'north'], { floor: '12' }, 100]);
  await button('Retry').click();
  await said('What failed on it is offered again.');
  await button('New token').click();
  const token = await dialog().locator('pre').innerText();
  assert.match(token, /^molt_/);
  await dialog().getByRole('button', { name: 'Done' }).click();
  await button('Forget').click();
  await dialog().getByRole('button', { name: 'Cancel' }).click();
  assert.equal((await show('a00000000001')).id, 'a00000000001');
  await button('Forget').click();
  await dialog().getByRole('button', { name: 'Forget' }).click();
  await page.waitForURL(/#\/devices$/);
  assert.equal((await server.call('GET', 'devices?filter=id%20%3D%20a00000000001')).devices.length, 0);
});

test('an edit that the server refuses says why and keeps what was written', async () => {
  await device('a00000000002');
  await visit(page, 'devices/a00000000002');
  await button('Edit').click();
  page.expected.push(/400 \(Bad Request\)/);
  await dialog().getByLabel('Group').fill('two words');
  await dialog().getByRole('button', { name: 'Save' }).click();
  await said('a group has 1 to 32 letters');
  assert.equal(await dialog().getByLabel('Group').inputValue(), 'two words');
  await page.keyboard.press('Escape');
  await dialog().waitFor({ state: 'detached' });
});

test('several devices at once: hold, assign, forget', async () => {
  for (const id of ['b00000000001', 'b00000000002']) await device(id, { group: 'bulk' });
  await visit(page, `devices?filter=${encodeURIComponent('group = bulk')}`);
  await page.getByText('2 devices match').waitFor();
  await page.getByLabel('Choose this page').check();
  await page.getByLabel('Assign to a product').selectOption('lamp');
  await said('2 devices assigned to lamp.');
  assert.equal((await show('b00000000002')).product, 'lamp');
  await page.getByLabel('Choose b00000000001').check();
  await button('Hold').click();
  await said('1 device held');
  assert.deepEqual([(await show('b00000000001')).held, (await show('b00000000002')).held], [true, false]);
  await page.getByLabel('Choose this page').check();
  await isClean(page, 'chosen devices');
  await button('Label').click();
  await dialog().getByLabel('Into the group').fill('bulk2');
  await dialog().getByLabel('Tags on').fill('x y');
  await isClean(page, 'labels of many');
  await dialog().getByRole('button', { name: 'Label them' }).click();
  await page.getByText('No device matches').waitFor();
  const labels = async () => { const one = await show('b00000000002'); return [one.group, one.tags]; };
  assert.deepEqual(await labels(), ['bulk2', ['x', 'y']]);
  await button('Undo').last().click();
  await page.getByText('2 devices match').waitFor();
  assert.deepEqual(await labels(), ['bulk', []]);
  await page.getByLabel('Choose this page').check();
  await page.getByRole('group', { name: 'Chosen devices' }).getByRole('button', { name: 'Forget' }).click();
  await dialog().getByRole('button', { name: 'Forget' }).click();
  await page.getByText('No device matches').waitFor();
});

test('a filter is kept, found again, and forgotten', async () => {
  await visit(page, 'devices');
  await page.getByLabel('Filter', { exact: true }).fill('tag = attic');
  await button('Filter').click();
  await button('Keep').click();
  await page.reload();
  await page.getByRole('group', { name: 'Filters' }).getByRole('button', { name: 'All' }).click();
  await page.getByRole('group', { name: 'Filters' }).getByRole('button', { name: 'tag = attic' }).click();
  await page.getByText('No device matches').waitFor();
  await button('Forget').click();
  await page.getByRole('group', { name: 'Filters' }).getByRole('button', { name: 'tag = attic' }).waitFor({ state: 'detached' });
});

/** Drops a file on the box as a hand would. */
async function drop(name, bytes) {
  const transfer = await page.evaluateHandle(([called, base64]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], called));
    return data;
  }, [name, Buffer.from(bytes).toString('base64')]);
  await page.locator('.drop').dispatchEvent('dragover', { dataTransfer: transfer });
  await page.locator('.drop').dispatchEvent('drop', { dataTransfer: transfer });
}

test('publishing by drag and drop: what is refused and why, facts, a release; yank and back', async () => {
  await visit(page, 'releases/new');
  await drop('page.bin', '<html>404</html>');
  await page.getByRole('alert').filter({ hasText: 'text' }).waitFor();
  await page.getByText('refused').first().waitFor();
  await isClean(page, 'a refused file');
  const path = await server.image('2.bin', 110, '--version', '1.1.0');
  const whole = readFileSync(path);
  await drop('cut.bin', whole.subarray(0, whole.length / 2));
  await page.getByRole('alert').filter({ hasText: /end|short|cut|truncated|length/i }).waitFor();
  await drop('2.bin', whole);
  await page.getByText('passed every check').waitFor();
  await page.getByText('esp32', { exact: true }).first().waitFor();
  assert.equal(await page.getByLabel('Version', { exact: false }).first().inputValue(), '1.1.0');
  await isClean(page, 'a good file');
  page.expected.push(/409 \(Conflict\)/);
  const old = readFileSync(join(server.folder, '1.bin'));
  await button('Publish').click();
  await page.getByText('lamp 1.1.0 is published').waitFor();
  await isClean(page, 'published');
  await button('Publish another').click();
  await drop('1.bin', old);
  await button('Publish').click();
  await page.getByRole('alert').filter({ hasText: 'already-published' }).waitFor();

  await visit(page, 'releases');
  const row = page.getByRole('row').filter({ hasText: 'lamp 1.1.0' });
  await row.getByRole('button', { name: 'Yank' }).click();
  await dialog().getByRole('button', { name: 'Yank' }).click();
  await row.getByText('yanked').waitFor();
  const yanked = async () => (await server.call('GET', 'releases')).releases.find((one) => one.code === 110).yanked;
  assert.equal(await yanked(), true);
  await row.getByRole('button', { name: 'Offer again' }).click();
  await row.getByText('yanked').waitFor({ state: 'detached' });
  assert.equal(await yanked(), false);
  await row.getByRole('link', { name: 'lamp 1.1.0' }).click();
  await button('Make must-pass-through').click();
  await page.getByText('must pass through').waitFor();
  await button('Undo').last().click();
  await page.getByText('must pass through').waitFor({ state: 'detached' });
});

test('a file is chosen by the keyboard alone', async () => {
  await visit(page, 'releases/new');
  const chooser = page.waitForEvent('filechooser');
  await button('Choose a file').focus();
  await page.keyboard.press('Enter');
  await (await chooser).setFiles({ name: 'note.bin', mimeType: 'application/octet-stream', buffer: Buffer.from('hello') });
  await page.getByText('refused').first().waitFor();
});

test('a rollout: planned with a preview of its canaries, run through its phases, paused, resumed, aborted', async () => {
  await server.image('3.bin', 120, '--version', '1.2.0');
  await server.molt('publish', '3.bin', '--product', 'lamp');
  for (const n of [1, 2, 3]) await device(`c0000000000${n}`, { product: 'lamp', chip: 'esp32', tags: n === 1 ? ['canary'] : [] });
  await visit(page, 'rollouts/new');
  await page.getByLabel('Release').selectOption({ label: 'lamp 1.2.0 (stable)' });
  await page.getByRole('link', { name: 'c0:00:00:00:00:01' }).waitFor();
  page.expected.push(/400 \(Bad Request\)/);
  await page.getByRole('group', { name: 'Phase 1' }).getByLabel('of the devices with').fill('colour = red');
  await page.getByRole('alert').filter({ hasText: 'colour' }).waitFor();
  await isClean(page, 'a plan with a filter that is none');
  await page.getByRole('group', { name: 'Phase 1' }).getByLabel('of the devices with').fill('id = c00000000002');
  await page.getByRole('link', { name: 'c0:00:00:00:00:02' }).waitFor();
  await button('Add a phase').click();
  await button('Remove phase 4').click();
  await button('Start the rollout').click();
  await page.waitForURL(/#\/rollouts\/\d+$/);
  const id = /rollouts\/(\d+)$/.exec(page.url())[1];
  const rollout = () => server.call('GET', `rollouts/${id}`);
  assert.deepEqual((await rollout()).phases.map((one) => [one.percent, one.filter]), [[100, 'id = c00000000002'], [10, null], [100, null]]);
  const why = await server.call('GET', 'devices/c00000000002/why');
  assert.equal(why.rollout, Number(id), JSON.stringify(why));
  await button('Pause').click();
  await page.getByText('paused', { exact: true }).waitFor();
  assert.equal((await rollout()).status, 'paused');
  await button('Resume').click();
  await page.getByText('running', { exact: true }).waitFor();
  await button('Next phase').click();
  await dialog().getByRole('button', { name: 'Go on' }).click();
  await page.locator('.phases li.now').filter({ hasText: '10 %' }).waitFor();
  await button('Next phase').click();
  await dialog().getByRole('button', { name: 'Go on' }).click();
  await button('Finish').click();
  await dialog().getByRole('button', { name: 'Finish' }).click();
  await page.getByText('done', { exact: true }).waitFor();
  await button('Abort').click();
  await dialog().getByRole('button', { name: 'Abort' }).click();
  await page.getByText('aborted', { exact: true }).waitFor();
  assert.equal((await rollout()).status, 'aborted');
  await isClean(page, 'an aborted rollout');
});

test('failures are grouped by reason, while it runs, and lead to the devices', async () => {
  await server.call('PATCH', 'products/lamp', { trust_unverified: true, rollouts_only: true });
  const id = await server.live(9, '1.bin');
  await server.publish('4.bin', 130, '--version', '1.3.0', '--behaviour', 'crash');
  const release = (await server.call('GET', 'releases')).releases.find((one) => one.code === 130).id;
  const made = await server.call('POST', 'rollouts', { release, error_count: 1, error_percent: 1 });
  await visit(page, `rollouts/${made.id}`);
  for (let n = 0; n < 5 && (await server.call('GET', `rollouts/${made.id}`)).counts.failed === 0; n++) await server.live(9, '1.bin');
  await page.getByText('The new image crashed before it was confirmed.').waitFor();
  await page.getByText('paused by itself').first().waitFor();
  await page.getByRole('link', { name: 'See the devices' }).click();
  await page.getByRole('link', { name: id.match(/../g).join(':') }).click();
  await page.getByText('rolled back').first().waitFor();
  await visit(page, '');
  await page.getByText('The rollout of lamp 1.3.0 is paused').waitFor();
  await page.getByRole('link', { name: 'Decide' }).click();
  await button('Resume').click();
  await dialog().getByText('1 failure so far').waitFor();
  await dialog().getByRole('button', { name: 'Cancel' }).click();
  assert.equal((await server.call('GET', `rollouts/${made.id}`)).status, 'paused');
});

test('a rollout that needs a second person waits, and its maker cannot approve of it', async () => {
  await server.call('PATCH', 'products/lamp', { approval: true });
  await server.publish('5.bin', 140, '--version', '1.4.0');
  const release = (await server.call('GET', 'releases')).releases.find((one) => one.code === 140).id;
  await visit(page, `rollouts/new?release=${release}`);
  await button('Start the rollout').click();
  await page.getByText('waits for approval').first().waitFor();
  await page.getByText('You made it: somebody else approves.').waitFor();
  assert.equal(await button('Approve').count(), 0);
  const id = /rollouts\/(\d+)$/.exec(page.url())[1];
  assert.equal((await server.call('GET', `rollouts/${id}`)).status, 'waiting');
  await server.molt('user', 'add', 'bert', '--role', 'approver@lamp', '--password-file', server.file('bert', 'another long password\n'));
  const other = await openPage(server);
  await logInAs(other, 'bert', 'another long password');
  await visit(other, `rollouts/${id}`);
  await other.getByRole('button', { name: 'Approve' }).click();
  await other.getByText('running', { exact: true }).waitFor();
  await other.context().close();
  await page.getByText('running', { exact: true }).waitFor(); // it hears of it by itself
  await server.call('PATCH', 'products/lamp', { approval: false });
});

test('enrolment: a device asks, is accepted; others are registered before they call', async () => {
  await visit(page, 'enrolment');
  await page.getByText('Nobody waits').waitFor();
  await fetch(`${server.device}/fota/5CCF7FC602E2.version`, { headers: { 'User-Agent': 'ESP8266HTTPClient' } });
  const row = page.getByRole('row').filter({ hasText: '5c:cf:7f:c6:02:e2' });
  await row.waitFor();
  await isClean(page, 'a device waits');
  await row.getByRole('button', { name: 'Accept' }).click();
  await row.waitFor({ state: 'detached' });
  assert.equal((await show('5ccf7fc602e2')).product, 'lamp');
  await page.getByLabel('Devices', { exact: false }).last().fill('D0:00:00:00:00:01\nd00000000002, d0-00-00-00-00-03');
  await page.locator('form select').selectOption('lamp');
  await page.getByLabel('Group').fill('shelf');
  await button('Register 3').click();
  await said('3 devices registered.');
  assert.equal((await server.call('GET', 'devices?filter=group%20%3D%20shelf')).devices.length, 3);
});

test('settings: the emergency stop asks and is taken back, switches are undone', async () => {
  await visit(page, 'settings');
  const product = async () => (await server.call('GET', 'products')).products[0];
  await button('Stop').click();
  await dialog().getByRole('button', { name: 'Stop' }).click();
  await page.getByText('stopped', { exact: true }).waitFor();
  assert.equal((await product()).stopped, true);
  await visit(page, '');
  await page.getByText('lamp is stopped', { exact: true }).waitFor();
  await button('Start again').click();
  await dialog().getByRole('button', { name: 'Start' }).click();
  await page.getByText('lamp is stopped', { exact: true }).waitFor({ state: 'detached' });
  assert.equal((await product()).stopped, false);
  await visit(page, 'settings');
  // not uncheck(): an event of the change before may draw the box anew, as the server still has it, until the answer comes
  await page.getByLabel('Offer nothing without a rollout').click();
  await said('Saved.');
  assert.equal((await product()).rollouts_only, false);
  await button('Undo').last().click();
  await said('Undone.');
  assert.equal((await product()).rollouts_only, true);
  await page.getByLabel('Older versions').selectOption('pinned');
  await said('Saved.');
  assert.equal((await product()).downgrade, 'pinned');
});

test('tokens come and go, with a role, a product and an end', async () => {
  await visit(page, 'users');
  await button('New token').click();
  await dialog().getByLabel('What it is for').fill('the build');
  await dialog().getByRole('combobox', { name: 'Role', exact: true }).selectOption('uploader');
  await dialog().getByRole('combobox', { name: 'For', exact: true }).selectOption('lamp');
  await isClean(page, 'a new token');
  await dialog().getByRole('button', { name: 'Make it' }).click();
  assert.match(await dialog().locator('pre').innerText(), /^molt_/);
  await dialog().getByRole('button', { name: 'Done' }).click();
  const kept = (await server.call('GET', 'tokens')).tokens.find((one) => one.label === 'the build');
  assert.deepEqual([kept.roles, kept.product, Math.round((kept.expires_ms - Date.now()) / 86400000)], [['uploader'], 'lamp', 90]);
  await button('Revoke the build').click();
  await dialog().getByRole('button', { name: 'Revoke' }).click();
  await page.getByText('the build').waitFor({ state: 'detached' });
  assert.ok(!(await server.call('GET', 'tokens')).tokens.some((one) => one.label === 'the build'));
});

test('search everywhere and keys', async () => {
  await device('e0000000abcd');
  await visit(page, '');
  await page.keyboard.press('/');
  await page.getByLabel('Search everywhere').fill('E0:00:00:00:AB');
  await page.getByRole('option', { name: 'e0:00:00:00:ab:cd' }).waitFor();
  await isClean(page, 'search');
  await page.keyboard.press('Enter');
  await page.waitForURL(/devices\/e0000000abcd/);
  for (let n = 0; n < 100 && !/#\/releases$/.test(page.url()); n++) { // within a second and a half, which a slow machine may miss
    await page.locator('body').press('g');
    await page.locator('body').press('r');
  }
  await page.waitForURL(/#\/releases$/);
  await page.keyboard.press('Control+k');
  await page.getByLabel('Search everywhere').fill('lamp 1.0');
  await page.getByRole('option', { name: /lamp 1\.0\.0/ }).first().click();
  await page.waitForURL(/releases\/\d+$/);
  await page.keyboard.press('?');
  await dialog().getByText('search everywhere').waitFor();
  await page.keyboard.press('Escape');
  await visit(page, 'devices');
  await page.locator('[data-row]').first().waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  const focused = () => page.evaluate(() => [...document.querySelectorAll('[data-row]')].indexOf(document.activeElement));
  assert.equal(await focused(), 1);
  await page.keyboard.press('k');
  assert.equal(await focused(), 0);
  await page.keyboard.press('Enter');
  await page.waitForURL(/devices\/[0-9a-f]+$/);
});

test('the theme is turned and kept', async () => {
  await visit(page, '');
  await button('Dark').click();
  await page.waitForFunction(() => document.documentElement.dataset.theme === 'dark');
  await page.reload();
  await button('Light').waitFor();
  await isClean(page, 'turned dark');
  await button('Light').click();
});

test('nothing was said on the console that should not be', () => {
  assert.deepEqual(page.problems, []);
});
