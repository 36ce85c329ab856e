// live_test.mjs - what does not go well: hostile texts of devices, a server that is slow, fails, ends and comes back, a proxy with a
// path before it; and the first device of all, which appears while the page waits.
import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import test, { after, before } from 'node:test';
import { finish, isClean, logIn, openPage, Server, sightName, sights, visit } from './harness.mjs';

const HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>';
let server;
before(async () => { server = await Server.start(); });
after(finish);

for (const sight of [sights[0], sights[3]]) {
  test(`from nothing to the first device: ${sightName(sight)}`, async () => {
    const fresh = await Server.start();
    const page = await openPage(fresh, sight);
    await logIn(page, fresh);
    await page.getByRole('link', { name: 'Begin' }).click();
    await page.getByText('Publish a firmware').waitFor();
    const firmware = await fresh.image('1.bin', 100, '--version', '1.0.0');
    await page.getByLabel('Firmware file').setInputFiles(firmware);
    await page.getByText('passed every check').waitFor();
    await page.getByRole('button', { name: 'Publish', exact: true }).click();
    await page.getByText('publish another').waitFor();
    const sketch = await page.getByLabel('Sketch', { exact: true }).innerText();
    assert.ok(sketch.includes(`Molt.begin("${fresh.device}")`) && sketch.includes('MOLT_FIRMWARE("lamp"'), sketch);
    await page.getByText('A device cannot reach this address').waitFor();
    await page.getByLabel('Address of this server').fill('http://192.168.1.10:8266/');
    await page.getByRole('button', { name: 'A sketch as it is' }).click();
    assert.ok((await page.getByLabel('Sketch', { exact: true }).innerText()).includes('"http://192.168.1.10:8266/fota/"'));
    await page.getByText('waiting', { exact: true }).waitFor();
    await isClean(page, 'the wizard waits');
    const id = await fresh.live(1);
    await page.getByText(`${id.match(/../g).join(':')} is here`).waitFor();
    await isClean(page, 'the device is here');
    await page.getByRole('link', { name: 'Look at it' }).click();
    await page.getByText('It is up to date').waitFor();
    assert.deepEqual(page.problems, []);
    await page.context().close();
    await fresh.stop();
  });
}

test('what devices say of themselves is text, wherever it is shown', async () => {
  await server.publish('1.bin', 100, '--version', '<b>1</b>');
  const headers = {
    'User-Agent': 'ESP8266-http-Update', 'x-ESP8266-STA-MAC': '5C:CF:7F:C6:02:E9', 'x-ESP8266-AP-MAC': '5E:CF:7F:C6:02:E9', 'x-ESP8266-free-space': '700000',
    'x-ESP8266-sketch-size': '300000', 'x-ESP8266-sketch-md5': '0123456789abcdef0123456789abcdef', 'x-ESP8266-chip-size': '4194304', 'x-ESP8266-sdk-version': HOSTILE,
    'x-ESP8266-version': HOSTILE, 'x-ESP8266-mode': 'sketch',
  };
  await fetch(`${server.device}/update`, { headers });
  const one = await server.call('GET', 'devices/5ccf7fc602e9');
  assert.ok(JSON.stringify(one).includes('onerror'), `the server keeps nothing hostile, and the test says nothing: ${JSON.stringify(one)}`);
  await server.call('POST', 'tokens', { label: HOSTILE.slice(0, 60), roles: ['viewer'] });
  await fetch(`${server.admin}/api/v1/devices/${encodeURIComponent(HOSTILE)}?q=${encodeURIComponent(HOSTILE)}`, { method: 'PATCH', headers: { Authorization: `Bearer ${server.token}` }, body: JSON.stringify({ group: HOSTILE }) });
  const page = await openPage(server);
  await logIn(page, server);
  for (const path of ['', 'devices', 'devices/5ccf7fc602e9', 'releases', 'releases/1', 'enrolment', 'rollouts/new?release=1', 'users', 'audit', `audit?q=${encodeURIComponent(HOSTILE)}`, `devices?filter=${encodeURIComponent(HOSTILE)}`, HOSTILE, `devices/${encodeURIComponent(HOSTILE)}`]) {
    page.expected.push(/400 \(Bad Request\)/, /404 \(Not Found\)/);
    await visit(page, path);
    await page.waitForFunction(() => !document.querySelector('[aria-busy="true"]'));
    assert.equal(await page.evaluate(() => document.querySelectorAll('main img, main script').length), 0, path);
  }
  await visit(page, 'devices/5ccf7fc602e9');
  await page.getByText('onerror="window.hacked=1"').first().waitFor();
  for (const path of ['users', 'audit']) {
    await visit(page, path);
    await page.getByText('window.hacked=1').first().waitFor();
    await isClean(page, `${path} with hostile texts`);
  }
  await visit(page, 'releases/new');
  await page.getByLabel('Firmware file').setInputFiles({ name: `${HOSTILE}.bin`, mimeType: 'application/octet-stream', buffer: Buffer.from(HOSTILE) });
  await page.getByText('refused').first().waitFor();
  await page.keyboard.press('Escape');
  await page.locator('main h1').click();
  await page.keyboard.press('/');
  await page.getByLabel('Search everywhere').fill('<b>1');
  await page.getByRole('option').filter({ hasText: 'lamp <b>1</b>' }).first().waitFor();
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.deepEqual(page.problems, []);
});

test('a slow answer shows that it is awaited, a failed one why, and a way to try again', async () => {
  const page = await openPage(server);
  await logIn(page, server);
  let release;
  const held = new Promise((done) => { release = done; });
  await page.route('**/api/v1/releases', async (route) => { await held; await route.continue(); });
  await visit(page, 'releases');
  await page.locator('.skeleton span').first().waitFor();
  release();
  await page.getByRole('link', { name: 'lamp <b>1</b>' }).waitFor();
  await page.unroute('**/api/v1/releases');
  page.expected.push(/502 \(Bad Gateway\)/, /403 \(Forbidden\)/);
  await page.route('**/api/v1/rollouts', (route) => route.fulfill({ status: 502, body: '<html>proxy</html>', contentType: 'text/html' }));
  await visit(page, 'rollouts');
  await page.getByRole('alert').filter({ hasText: 'The server answered 502.' }).waitFor();
  await page.unroute('**/api/v1/rollouts');
  await page.getByText('No rollout yet').waitFor(); // it asks again by itself
  await page.route('**/api/v1/products', (route) => route.fulfill({ status: 403, body: '<html>proxy</html>', contentType: 'text/html' }));
  await visit(page, 'settings');
  await page.getByRole('alert').filter({ hasText: 'The server answered 403.' }).waitFor(); // and not when it is refused
  await isClean(page, 'a failed answer');
  await page.unroute('**/api/v1/products');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('Offer nothing without a rollout').waitFor();
});

test('the server ends: it says so; the server comes back: it goes on where it was', async () => {
  const fresh = await Server.startHeld();
  const page = await openPage(fresh);
  page.expected.push(/ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|ERR_INCOMPLETE|Failed to load resource/);
  await logIn(page, fresh);
  await visit(page, 'health');
  await page.getByText('Live', { exact: true }).waitFor();
  const notices = await fetch(new URL(await page.getByRole('link', { name: 'licences' }).getAttribute('href'), page.url()));
  assert.match(notices.headers.get('content-type'), /^text\/plain/);
  assert.match(await notices.text(), /== preact [^]*Copyright/);
  await fresh.halt();
  await page.getByText('No connection').waitFor();
  await fresh.relaunch();
  await page.getByText('Live', { exact: true }).waitFor();
  await page.getByRole('heading', { name: 'Server health' }).waitFor();
  await page.getByText('Not current').first().waitFor({ state: 'detached' });
  await page.context().close();
  await fresh.stop();
});

test('a revoked token ends the session that it began', async () => {
  const page = await openPage(server);
  const made = await server.call('POST', 'tokens', { label: 'for an hour' });
  await logIn(page, { token: made.token });
  await visit(page, 'users');
  await page.getByText('for an hour').waitFor();
  const id = (await server.call('GET', 'tokens')).tokens.find((one) => one.label === 'for an hour').id;
  page.expected.push(/401 \(Unauthorized\)/);
  await server.call('DELETE', `tokens/${id}`);
  await page.evaluate(() => { location.hash = '#/devices'; }); // it may have heard of it by itself
  await page.getByLabel('Admin token').waitFor();
});

/** A proxy that serves the admin plane below a path and takes the path off, as nginx does with a slash after proxy_pass. */
async function proxy(to, prefix) {
  const front = createServer((ask, answer) => {
    if (!ask.url.startsWith(prefix)) { answer.writeHead(404).end(); return; }
    const on = request(`${to}/${ask.url.slice(prefix.length)}`, { method: ask.method, headers: ask.headers }, (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    });
    on.on('error', () => answer.destroy());
    ask.pipe(on);
  });
  await new Promise((done) => front.listen(0, '127.0.0.1', done));
  return { base: `http://127.0.0.1:${front.address().port}${prefix.slice(0, -1)}`, close: () => { front.closeAllConnections(); front.close(); } };
}

test('below a path of a proxy', async () => {
  const front = await proxy(server.admin, '/things/molt/');
  const page = await openPage(server, {}, front.base);
  await logIn(page, server);
  await visit(page, 'releases');
  await page.getByRole('link', { name: 'lamp <b>1</b>' }).waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
  assert.equal((await page.context().cookies()).find((one) => one.name === 'molt_session').path, '/things/molt/api/v1');
  await page.reload();
  await page.getByRole('link', { name: 'lamp <b>1</b>' }).waitFor();
  assert.deepEqual(page.problems, []);
  await page.context().close();
  front.close();
});

test('the headers of the page, and of its files', async () => {
  const page = await fetch(`${server.admin}/`);
  const policy = page.headers.get('content-security-policy');
  for (const part of ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"]) assert.ok(policy.includes(part), policy);
  assert.equal(page.headers.get('cache-control'), 'no-cache');
  assert.equal(page.headers.get('x-content-type-options'), 'nosniff');
  const again = await fetch(`${server.admin}/`, { headers: { 'If-None-Match': page.headers.get('etag') } });
  assert.equal(again.status, 304);
  const script = /\.\/(assets\/app-[0-9a-f]+\.js)/.exec(await page.text())[1];
  const file = await fetch(`${server.admin}/${script}`);
  assert.match(file.headers.get('cache-control'), /immutable/);
  assert.equal(file.headers.get('content-encoding'), 'gzip');
  assert.equal((await fetch(`${server.admin}/assets/app-000000000000.js`)).status, 401);
  assert.equal((await fetch(`${server.device}/`)).headers.get('content-security-policy'), null);
});
