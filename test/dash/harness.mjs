// harness.mjs - a real `molt serve`, virtual devices, and Chromium, which is watched: a console error, an exception, a
// violation of the content policy or a request to anywhere else fails the test. Every wait is for something to happen.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import assert from 'node:assert/strict';

const require = createRequire(process.env.MOLT_DASH_MODULES);
const { chromium } = require('playwright-core');
const axeSource = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const run = promisify(execFile);
export const MOLT = process.env.MOLT;
export const WAIT = Number(process.env.MOLT_DASH_WAIT ?? 300000); // for a machine that does other things, too: it only ends what hangs

const servers = new Set();

/** Two addresses that nobody else takes while this process lasts, also when nobody listens there. */
export async function heldAddresses() {
  const holder = spawn('python3', [fileURLToPath(new URL('../e2e/hold_port.py', import.meta.url)), '--stay', '2'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [ports] = await once(holder.stdout, 'data');
  for (const one of [holder, holder.stdin, holder.stdout]) one.unref(); // it ends with this process
  return String(ports).trim().split(' ').map((port) => `http://127.0.0.1:${port}`);
}

export class Server {
  static async start(...options) {
    const server = new Server();
    servers.add(server);
    server.folder = mkdtempSync(join(tmpdir(), 'molt-dash-'));
    server.options = options;
    await server.launch();
    return server;
  }

  /** One that can come back where it was. */
  static async startHeld(...options) {
    const server = await Server.start(...options);
    await server.halt();
    await server.launch(...await heldAddresses());
    return server;
  }

  async launch(listen = 'http://127.0.0.1:0', admin = 'http://127.0.0.1:0') {
    this.log = '';
    this.process = spawn(MOLT, ['serve', '--data', join(this.folder, 'data'), '--listen', listen, '--admin', admin,
      '--new-per-minute', '100000', ...this.options], { stdio: ['ignore', 'pipe', 'pipe'] });
    const ready = new Promise((done, fail) => {
      const hear = (bytes) => {
        this.log += bytes;
        this.token = /molt_\w+/.exec(this.log)?.[0] ?? this.token; // at the first start, and by another pipe than the rest
        if (this.token && /plane=socket/.test(this.log)) done();
      };
      this.process.stdout.on('data', hear);
      this.process.stderr.on('data', hear);
      this.process.on('close', () => fail(new Error(`the server ended: ${this.log}`))); // and all that it said is here
    });
    await ready;
    this.device = `http://127.0.0.1:${/plane=device .*port=(\d+)/.exec(this.log)[1]}`;
    this.admin = `http://127.0.0.1:${/plane=admin .*port=(\d+)/.exec(this.log)[1]}`;
  }

  /** Starts it where it was; nobody else got its ports meanwhile. */
  async relaunch() { await this.launch(this.device, this.admin); }

  /** Ends it, keeps its data. */
  async halt() {
    if (this.process.exitCode !== null) return;
    this.process.removeAllListeners('close');
    const ended = new Promise((done) => this.process.once('exit', done));
    this.process.kill('SIGTERM');
    assert.equal(await ended, 0, this.log);
  }

  async stop() {
    servers.delete(this);
    await this.halt();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async molt(...args) {
    const env = { ...process.env, MOLT_DATA: join(this.folder, 'data') };
    return (await run(MOLT, args, { cwd: this.folder, env, maxBuffer: 1 << 24 })).stdout;
  }

  /** A file in its folder. */
  file(name, text) {
    writeFileSync(join(this.folder, name), text);
    return join(this.folder, name);
  }

  async call(method, path, body) {
    // a connection each: one that is kept may be closed by the server, for it was idle, just as the next request goes out
    const ask = request(`${this.admin}/api/v1/${path}`, { method, agent: false, headers: { Authorization: `Bearer ${this.token}` } });
    ask.end(body === undefined ? undefined : JSON.stringify(body));
    const [answer] = await once(ask, 'response');
    const json = JSON.parse(Buffer.concat(await answer.toArray()).toString());
    assert.ok(answer.statusCode < 300, `${method} ${path}: ${JSON.stringify(json)}`);
    return json;
  }

  async image(name, code, ...options) {
    await this.molt('sim', 'build', name, '--chip', 'esp32', '--product', 'lamp', '--code', String(code), ...options);
    return join(this.folder, name);
  }

  async publish(name, code, ...options) {
    await this.image(name, code, ...options);
    await this.molt('publish', name, '--product', 'lamp', '--adopt');
  }

  /** One life of a virtual device, from the firmware it was flashed with; it may well fail. */
  async live(number, firmware = '1.bin') {
    const mac = `24:0A:C4:00:00:${number.toString(16).padStart(2, '0').toUpperCase()}`;
    await this.molt('sim', '--chip', 'esp32', '--mac', mac, '--firmware', firmware, '--flash', `${number}.flash`, '--server', this.device)
      .catch(() => undefined);
    return mac.replaceAll(':', '').toLowerCase();
  }
}

const copies = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=60)
names = [row[1] for row in db.execute('PRAGMA table_info(device)')]
value = {'id': "printf('a0b1c2%06x', n)", 'group_name': "printf('g%d', n % 50)"}
db.execute('DELETE FROM device WHERE id <> "template"')
db.execute(f'''WITH RECURSIVE number (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < {int(sys.argv[2])})
  INSERT INTO device ({', '.join(names)}) SELECT {', '.join(value.get(name, name) for name in names)} FROM device, number WHERE id = "template"''')
db.execute('DELETE FROM device WHERE id = "template"')
db.commit()`;

/** So many devices a0b1c2000000 ..., in fifty groups: written into the store while the server is down, which is quicker than asking it. */
export async function crowd(server, count) {
  await server.call('PUT', 'devices/template', { product: 'lamp' }); // of those without a product a server keeps some thousands
  await server.halt();
  await run('python3', ['-c', copies, join(server.folder, 'data', 'molt.db'), String(count)]);
  await server.launch();
}

let browser = null;
export async function openBrowser() {
  browser ??= await chromium.launch({ executablePath: process.env.MOLT_CHROMIUM ?? '/usr/bin/chromium', timeout: WAIT,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--force-color-profile=srgb', '--font-render-hinting=none'] });
  return browser;
}
/** Ends what the tests began, also when they failed. all: servers, too. */
export async function finish(all = true) {
  await browser?.close();
  browser = null;
  if (all === false) return;
  for (const server of servers) await server.stop();
}

export const sights = [
  { theme: 'light', width: 1280, height: 860 }, { theme: 'dark', width: 1280, height: 860 },
  { theme: 'light', width: 390, height: 844 }, { theme: 'dark', width: 390, height: 844 },
];
export const sightName = ({ theme, width }) => `${theme}, ${width} px`;

/** A page of its own context, which notes everything that must not happen. expected: patterns of what may. */
export async function openPage(server, { theme = 'light', width = 1280, height = 860 } = {}, base = server.admin) {
  const context = await (await openBrowser()).newContext({ colorScheme: theme, viewport: { width, height }, reducedMotion: 'reduce', locale: 'en-GB', timezoneId: 'UTC' });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT);
  // What was done may be undone for some seconds: a slow machine gets a minute.
  await page.addInitScript(() => {
    const set = window.setTimeout.bind(window);
    window.setTimeout = (run, ms, ...rest) => set(run, ms === 9000 || ms === 15000 ? 60000 : ms, ...rest);
  });
  page.problems = [];
  page.expected = [];
  const note = (text) => { if (!page.expected.some((pattern) => pattern.test(text))) page.problems.push(text); };
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) note(`console: ${message.text()} ${message.location().url}`); });
  page.on('pageerror', (error) => note(`exception: ${error.message}`));
  page.on('request', (request) => { if (!request.url().startsWith(base) && !request.url().startsWith('data:')) note(`request to ${request.url()}`); });
  page.base = base;
  return page;
}

export async function logIn(page, server) {
  await page.goto(`${page.base}/`);
  const byToken = page.getByRole('button', { name: 'With a token' }); // where there are users, a password comes first
  await byToken.or(page.getByLabel('Admin token')).first().waitFor();
  if (await byToken.isVisible()) await byToken.click();
  await page.getByLabel('Admin token').fill(server.token);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('button', { name: 'Log in' }).waitFor({ state: 'detached' });
}

export async function logInAs(page, name, password, code) {
  await page.goto(`${page.base}/`);
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Log in' }).click();
  if (code) {
    await page.getByLabel('Code').fill(code);
    await page.getByRole('button', { name: 'Log in' }).click();
  }
  await page.getByRole('navigation', { name: 'Screens' }).or(page.getByRole('button', { name: 'Menu' })).first().waitFor();
}

export async function visit(page, path) {
  await page.goto(`${page.base}/#/${path}`);
  await page.locator('main h1').waitFor();
}

/** All that was asked for is here. */
export const settled = (page) => page.waitForFunction(() => !document.querySelector('[aria-busy="true"]'));

/** Another theme and width of the page that is open. */
export async function look(page, { theme, width, height }) {
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' });
  await page.waitForFunction((wanted) => document.documentElement.dataset.theme === wanted, theme);
}

/** What only colours decide: the same elements, once they were judged in one theme, need no more in the other. */
const colours = ['color-contrast', 'link-in-text-block'];

/** Nothing noted, nothing that axe finds, and no scrolling sideways. only: 'colours', of what was judged in the other theme. */
export async function isClean(page, where, only) {
  assert.deepEqual(page.problems, [], where);
  await page.locator('[aria-busy="true"]').first().waitFor({ state: 'detached' });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${where}: the page is ${wide} px wider than the window`);
  // evaluate() is not subject to the page's content policy
  if (!await page.evaluate(() => Boolean(globalThis.axe))) await page.evaluate(axeSource);
  const rules = only === 'colours' ? colours : ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'];
  const found = await page.evaluate((runOnly) => globalThis.axe.run(document, { runOnly, resultTypes: ['violations'], preload: false }), rules);
  const said = found.violations.map((one) => `${one.id}: ${one.help}\n    ${one.nodes.map((node) => `${node.html}\n      ${node.failureSummary}`).join('\n    ')}`);
  assert.deepEqual(said, [], where);
}

/** What a camera reads of a picture, by a reader of another hand. */
export async function scan(png) {
  const page = await (await openBrowser()).newPage();
  await page.addScriptTag({ path: require.resolve('jsqr') });
  const text = await page.evaluate(async (base64) => {
    const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${base64}`)).blob());
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    canvas.drawImage(bitmap, 0, 0);
    return globalThis.jsQR(canvas.getImageData(0, 0, bitmap.width, bitmap.height).data, bitmap.width, bitmap.height)?.data;
  }, png.toString('base64'));
  await page.close();
  return text;
}

/** A picture, when the environment asks for some: MOLT_DASH_SHOTS names the folder. */
export async function shot(page, name, options = {}) {
  const folder = process.env.MOLT_DASH_SHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), ...options });
}
