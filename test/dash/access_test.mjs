// access_test.mjs - people: the first user, roles that show in what is there to click, one's own password and second factor, and
// the audit log, also after somebody tampered with it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { finish, isClean, logIn, logInAs, look, openPage, scan, Server, settled, shot, sightName, sights, visit } from './harness.mjs';

const PASSWORD = 'correct horse battery';
let server, page;
before(async () => {
  server = await Server.start();
  await server.publish('1.bin', 100, '--version', '1.0.0');
  await server.image('2.bin', 100);
  await server.molt('publish', '2.bin', '--product', 'other');
  await server.call('PUT', 'devices/a00000000001', { product: 'lamp' });
  page = await openPage(server);
  await logIn(page, server);
});
after(finish);

const button = (name, on = page) => on.getByRole('button', { name, exact: true });
const dialog = (on = page) => on.getByRole('dialog');
const said = (words, on = page) => on.getByRole('status').filter({ hasText: words }).first().waitFor();

/** RFC 6238, of another hand than the server's. */
function totp(secret, step) {
  const bits = [...secret].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', key).update(counter).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1000000).padStart(6, '0');
}

test('the first user is made by the token of the first start, and logs in as himself', async () => {
  await visit(page, 'welcome');
  await isClean(page, 'the wizard, before there is a user');
  await page.getByRole('link', { name: 'Make one for yourself' }).click();
  await page.getByText('Nobody has a login of his own').waitFor();
  await button('Make the first user').click();
  await dialog().getByLabel('Name').fill('Anna');
  await dialog().getByLabel('Password').fill(PASSWORD);
  assert.equal(await dialog().getByLabel('Role 1', { exact: true }).inputValue(), 'admin');
  await isClean(page, 'a new user');
  await button('Make it').click();
  await said('anna may log in.');
  await button('Log out').click();
  page.expected.push(/401 \(Unauthorized\)/);
  await page.reload();
  await page.getByLabel('Name').fill('anna');
  await page.getByLabel('Password').fill('a wrong password');
  await button('Log in').click();
  await page.getByRole('alert').filter({ hasText: 'The name or the password is wrong.' }).waitFor();
  await isClean(page, 'a wrong password');
  await shot(page, 'login-password');
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByLabel('Password').press('Enter');
  await page.getByRole('link', { name: 'anna', exact: true }).waitFor();
});

test('users: made with roles for products, changed, kept out, let in, removed', async () => {
  await visit(page, 'users');
  await button('New user').click();
  await dialog().getByLabel('Name').fill('otto');
  await dialog().getByLabel('Password').fill(PASSWORD);
  await dialog().getByLabel('Role 1', { exact: true }).selectOption('operator');
  await dialog().getByLabel('Products of role 1').selectOption('lamp');
  await button('Another role').click();
  await dialog().getByLabel('Role 2', { exact: true }).selectOption('approver');
  await dialog().getByLabel('Products of role 2').selectOption('other');
  await button('Make it').click();
  await said('otto may log in.');
  const user = async (name) => (await server.call('GET', 'users')).users.find((one) => one.name === name);
  assert.deepEqual((await user('otto')).roles, ['operator@lamp', 'approver@other']);
  await button('Edit otto').click();
  await button('Remove role 2').click();
  await button('Save').click();
  await said('otto is changed.');
  assert.deepEqual((await user('otto')).roles, ['operator@lamp']);
  await button('Keep out otto').click();
  await said('otto is kept out.');
  assert.equal((await user('otto')).disabled, true);
  await button('Undo').last().click();
  await said('Undone.');
  assert.equal((await user('otto')).disabled, false);
  await server.call('POST', 'users', { name: 'gone' });
  await visit(page, 'audit');
  await visit(page, 'users');
  await button('Remove gone').click();
  await dialog().getByRole('button', { name: 'Remove', exact: true }).click();
  await said('gone is removed.');
  assert.equal(await user('gone'), undefined);
});

test('an operator of one product sees it alone, does what he may, and is offered nothing else', async () => {
  const his = await openPage(server);
  await logInAs(his, 'otto', PASSWORD);
  await his.getByRole('heading', { name: 'Overview' }).waitFor();
  const names = await his.getByRole('navigation', { name: 'Screens' }).getByRole('link').allInnerTexts();
  for (const name of ['Overview', 'Devices', 'Releases', 'Rollouts', 'Enrolment', 'Settings']) assert.ok(names.includes(name), name);
  for (const name of ['Server health', 'Users', 'Audit', 'Webhooks']) assert.ok(!names.includes(name), name);
  for (const path of ['', 'devices', 'releases', 'releases/1', 'rollouts', 'rollouts/new?release=1', 'enrolment', 'settings', 'welcome', 'account']) {
    his.expected.push(/403 \(Forbidden\)/);
    await visit(his, path);
    await his.waitForFunction(() => !document.querySelector('[aria-busy="true"]'));
    assert.equal(await his.getByText('other', { exact: true }).count(), 0, path);
    await isClean(his, `operator: ${path}`);
  }
  await visit(his, 'devices/a00000000001');
  await button('Hold', his).click();
  await said('Held', his);
  assert.equal((await server.call('GET', 'devices/a00000000001')).held, true);
  assert.equal(await button('New token', his).count(), 0);
  await visit(his, 'settings');
  assert.equal(await his.getByLabel('A rollout needs a second person').isDisabled(), true);
  await button('Stop', his).waitFor();
  for (const path of ['users', 'audit']) {
    await visit(his, path);
    await his.getByRole('alert').filter({ hasText: 'The roles of who asks do not allow this.' }).first().waitFor();
  }
  await his.context().close();
});

test('his own password, and the end of his other sessions', async () => {
  const here = await openPage(server), there = await openPage(server);
  await logInAs(here, 'otto', PASSWORD);
  await logInAs(there, 'otto', PASSWORD);
  await visit(here, 'account');
  here.expected.push(/403 \(Forbidden\)/);
  there.expected.push(/401 \(Unauthorized\)/, /403 \(Forbidden\)/);
  await here.getByLabel('Password now').fill('not it at all');
  await here.getByLabel('New password').fill('a better password');
  await here.getByLabel('The same again').fill('a better pass');
  await here.getByText('These are two different passwords.').waitFor();
  await here.getByLabel('The same again').fill('a better password');
  await button('Change it', here).click();
  await said('The name or the password is wrong.', here);
  await here.getByLabel('Password now').fill(PASSWORD);
  await button('Change it', here).click();
  await said('your other sessions are over', here);
  await there.evaluate(() => { location.hash = '#/devices'; }); // it may have heard of it by itself
  await there.getByRole('heading', { name: 'Log in' }).waitFor();
  await logInAs(there, 'otto', 'a better password');
  here.expected.push(/401 \(Unauthorized\)/);
  await button('Log out everywhere', here).click();
  await dialog(here).getByRole('button', { name: 'Log out everywhere' }).click();
  await here.getByRole('heading', { name: 'Log in' }).waitFor();
  await there.evaluate(() => { location.hash = '#/releases'; });
  await there.getByRole('heading', { name: 'Log in' }).waitFor();
  await here.context().close();
  await there.context().close();
});

test('a second factor: shown once, proved, asked for, and taken away', async () => {
  await visit(page, 'account');
  await button('Turn it on').click();
  await dialog().getByLabel('Your password').fill(PASSWORD);
  await button('Go on').click();
  const secret = (await dialog().getByLabel('Secret').innerText()).replaceAll(' ', '');
  assert.match(secret, /^[A-Z2-7]{32}$/);
  const address = await dialog().getByRole('link').getAttribute('href');
  assert.ok(address.includes(`otpauth://totp/molt:anna?secret=${secret}`));
  await isClean(page, 'the secret');
  for (const sight of [sights[1], sights[3], sights[0]]) { // dark, too: a camera wants dark on light
    await look(page, sight);
    assert.equal(await scan(await dialog().getByRole('img', { name: 'QR code of the key' }).screenshot()), address, sightName(sight));
  }
  await shot(page, 'second-factor');
  const next = Math.floor(Date.now() / 30000) + 1; // this one is good for a minute and more, however slow the machine
  await dialog().getByLabel('The code that it shows now').fill(totp(secret, next));
  await dialog().getByRole('button', { name: 'Turn it on' }).click();
  const codes = (await page.getByLabel('Recovery codes', { exact: true }).last().innerText()).split('\n');
  assert.equal(codes.length, 8);
  await isClean(page, 'recovery codes');
  await button('I have them').click();
  await page.getByText('8 recovery codes left').waitFor();
  await button('Log out').click();
  await page.getByLabel('Name').fill('anna');
  await page.getByLabel('Password').fill(PASSWORD);
  await button('Log in').click();
  const soon = Array.from({ length: 100 }, (_, n) => totp(secret, next - 4 + n));
  await page.getByLabel('Code').fill(['000000', '111111', '222222', '333333'].find((code) => !soon.includes(code)));
  await isClean(page, 'the code is asked for');
  await button('Log in').click();
  await page.getByRole('alert').filter({ hasText: 'The code is wrong' }).waitFor();
  await page.getByLabel('Code').fill(codes[4]);
  await button('Log in').click();
  await page.getByRole('link', { name: 'anna', exact: true }).click();
  await page.getByText('7 recovery codes left').waitFor();
  await button('Turn it off').click();
  await dialog().getByLabel('Your password').fill(PASSWORD);
  await dialog().getByRole('button', { name: 'Turn it off' }).click();
  await said('The second factor is off.');
});

test('what only users see, in every theme and width', async () => {
  for (const name of ['account', 'users', 'audit']) {
    await visit(page, name);
    await settled(page);
    for (const sight of sights) {
      await look(page, sight);
      await isClean(page, `${name}, ${sightName(sight)}`, sight.theme === 'dark' ? 'colours' : undefined);
      await shot(page, `people-${name}-${sight.theme}-${sight.width}`, { fullPage: true });
    }
    await look(page, sights[0]);
  }
});

test('the audit log says who did what, is searched, exported, and verified; and what was tampered with is found', async () => {
  await visit(page, 'audit');
  await page.getByRole('row').filter({ hasText: 'turns the second factor off' }).first().waitFor();
  await page.getByLabel('Look for').fill('user otto');
  await button('Find').click();
  await page.getByRole('row').filter({ hasText: 'changes device a00000000001' }).waitFor();
  assert.equal(await page.getByRole('row').filter({ hasText: 'user anna' }).count(), 0);
  await button('Verify').click();
  await page.getByText('each as it was written').waitFor();
  await isClean(page, 'a good log');
  const [download] = await Promise.all([page.waitForEvent('download'), button('Export').click()]);
  await server.molt('audit', 'verify', '--since', await download.path());
  execFileSync('python3', ['-c', 'import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=60); db.execute("UPDATE audit SET who = \'user otto\' WHERE seq = 5"); db.commit()',
    join(server.folder, 'data', 'molt.db')]);
  await button('Verify').click();
  await page.getByText('Entry 5: the entry is not what was written.').waitFor();
  await isClean(page, 'a bad log');
  assert.deepEqual(page.problems, []);
});
