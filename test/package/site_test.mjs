// site_test.mjs - reads a built site from the disk, as a user without a network does. usage: site_test.mjs FOLDER
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { chromium } = createRequire(process.env.MOLT_DASH_MODULES)('playwright-core');
const folder = process.argv[2];
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
const page = await browser.newPage();
page.setDefaultTimeout(600000); // a loaded machine reads the API's page slowly: this only ends what hangs
const asked = [], errors = [];
page.on('request', (request) => {
  if (!/^(file|data|blob|about):/.test(request.url())) asked.push(request.url());
});
page.on('pageerror', (error) => errors.push(String(error)));

await page.goto(`file://${join(folder, 'index.html')}`);
const pages = await page.$$eval('nav a[href$=".html"]', (links) => [...new Set(links.map((link) => link.href))]);
assert.ok(pages.length >= 25, `the navigation has ${pages.length} pages`);

// the search finds a reason on the page of causes, and goes there
await page.click('input[name="query"]');
await page.keyboard.type('flash-too-small');
const hit = page.locator('.md-search-result__link', { hasText: /flash-too-small/i }).first();
await hit.waitFor({ state: 'attached' });
const target = await hit.getAttribute('href');
assert.match(target, /troubleshooting|doctor|how-to/, `the search leads to ${target}`);
assert.ok(existsSync(new URL(target).pathname), `the search leads to ${target}`);

let links = 0;
for (const address of pages) {
  await page.goto(address);
  assert.ok((await page.locator('h1').count()) >= 1, `${address} has no heading`);
  // every link within the site leads to a file of it
  for (const href of await page.$$eval('a[href]', (all) => all.map((link) => link.href))) {
    if (!href.startsWith('file:')) continue;
    const path = decodeURIComponent(new URL(href).pathname);
    assert.ok(existsSync(path), `${address} links to ${path}`);
    links++;
  }
}
await browser.close();
assert.deepEqual(asked, [], 'the site asked somebody');
assert.deepEqual(errors, [], 'a script failed');
console.log(`${pages.length} pages, ${links} links, one search, no request`);
