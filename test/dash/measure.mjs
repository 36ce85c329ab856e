// measure.mjs - how long it takes, to be stated in doc/dashboard.md; no test, because a machine may do other things as well.
// usage: [RUNS=7] test/dash/run.sh MOLT WORK measure.mjs
import { crowd, finish, logIn, openPage, Server, visit } from './harness.mjs';

const RUNS = Number(process.env.RUNS ?? 7), ALL = 100000;
const say = (what, values) => {
  const sorted = [...values].sort((a, b) => a - b), ms = (n) => `${n.toFixed(0)} ms`;
  console.log(`${what}: best ${ms(sorted[0])}, median ${ms(sorted[sorted.length >> 1])}, worst ${ms(sorted[sorted.length - 1])} of ${sorted.length}`);
};

/** A browser that was just begun, and knows nothing of the server: until something is painted, and until the screen is there. */
async function firstPaint(server) {
  const painted = [], there = [], down = [];
  for (let n = 0; n < RUNS; n++) {
    await finish(false); // the browser alone
    const page = await openPage(server);
    await page.goto(`${page.base}/`);
    await page.getByRole('heading', { name: 'Log in' }).waitFor();
    there.push(await page.evaluate(() => performance.now()));
    const times = await page.evaluate(() => ({ paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime, bytes: [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].reduce((sum, one) => sum + one.transferSize, 0) }));
    painted.push(times.paint);
    down.push(times.bytes);
  }
  say('first contentful paint, cold', painted);
  say('the login is there, cold', there);
  console.log(`over the wire: ${Math.max(...down)} bytes`);
}

/** From the click until the new rows stand in the table. */
async function turned(page, act, first) {
  const before = await page.evaluate(() => performance.now());
  await act();
  return (await page.waitForFunction((words) => ([...document.querySelectorAll('.pager span, .empty strong')].some((one) => one.textContent === words) && performance.now()), first, { polling: 'raf' })).jsonValue().then((now) => now - before);
}

async function table(server) {
  const page = await openPage(server);
  await logIn(page, server);
  const button = (name) => page.getByRole('button', { name, exact: true });
  const filter = (words) => async () => { await page.getByLabel('Filter', { exact: true }).fill(words); await button('Filter').click(); };
  const opened = [], pages = [], many = [], nobody = [];
  for (let n = 0; n < RUNS; n++) {
    await visit(page, 'nowhere');
    opened.push(await turned(page, () => page.evaluate(() => { location.hash = '#/devices'; }), '1–50 of 100,000'));
    pages.push(await turned(page, () => button('Next').click(), '51–100 of 100,000'));
    many.push(await turned(page, filter('group = g7'), '1–50 of 2,000'));
    nobody.push(await turned(page, filter('tag = nobody'), 'No device matches'));
  }
  say('the table opens', opened);
  say('the next page', pages);
  say('a filter that 2,000 match', many);
  say('a filter that nobody matches', nobody);
  await visit(page, 'devices');
  await page.getByText('1–50 of 100,000').waitFor();
  const frames = await page.evaluate(() => new Promise((done) => {
    const gaps = [];
    let last = null;
    const step = (now) => { if (last !== null) gaps.push(now - last); last = now; window.scrollBy(0, 40); if (gaps.length < 120) requestAnimationFrame(step); else done(gaps); };
    requestAnimationFrame(step);
  }));
  say('a frame while it scrolls', frames);
}

const server = await Server.start();
await server.publish('1.bin', 100, '--version', '1.0.0');
await firstPaint(server);
await crowd(server, ALL);
await table(server);
await finish();
