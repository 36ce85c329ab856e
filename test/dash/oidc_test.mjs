// oidc_test.mjs - logging in by an OpenID provider of another hand (npm's oidc-provider, which is certified), with RS256 and ES256; and
// what must not let anybody in: another state, a code twice, an address that is not verified, somebody who is no user here.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import test, { after, before } from 'node:test';
import { finish, isClean, openPage, Server, visit } from './harness.mjs';

const { Provider } = await import(createRequire(process.env.MOLT_DASH_MODULES).resolve('oidc-provider'));
const jwk = (type, options) => generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });
const keys = [
  { ...jwk('rsa', { modulusLength: 2048 }), kid: 'r', use: 'sig', alg: 'RS256' }, { ...jwk('ec', { namedCurve: 'P-256' }), kid: 'e', use: 'sig', alg: 'ES256' },
];
const fronts = [];

/** Every login name is an account; "x-unverified" has an address that nobody verified. */
async function provider(clients) {
  const front = createServer((ask, answer) => { void front.handle(ask, answer); });
  await new Promise((done) => front.listen(0, '127.0.0.1', done));
  fronts.push(front);
  const issuer = `http://127.0.0.1:${front.address().port}`;
  const made = new Provider(issuer, {
    clients: clients(issuer), jwks: { keys }, pkce: { required: () => true }, conformIdTokenClaims: false, cookies: { keys: ['only a test'] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@Example.org`, email_verified: !id.startsWith('x-') }) }),
  });
  front.handle = made.callback();
  return issuer;
}

let server, issuer;
before(async () => {
  server = await Server.startHeld(); // the provider must know the dashboard's address
  await server.halt();
  const { device, admin } = server;
  issuer = await provider(() => ['RS256', 'ES256'].map((alg) => ({
    client_id: alg, client_secret: 'a secret of 32 characters, or so', redirect_uris: [`${admin}/`], id_token_signed_response_alg: alg,
  })));
  server.options.push('--oidc-issuer', issuer, '--oidc-client', 'RS256', '--oidc-secret-file', server.file('secret', ''));
  await assert.rejects(server.launch(device, admin), /holds no secret/);
  server.file('secret', 'a secret of 32 characters, or so\n');
  await server.relaunch();
  await server.call('POST', 'users', { name: 'anna@example.org', roles: ['operator'] });
});
after(async () => {
  await finish();
  for (const front of fronts) { front.closeAllConnections(); front.close(); }
});

async function arrive(page, id) {
  await page.goto(`${page.base}/`);
  await page.getByRole('button', { name: 'Log in with OpenID' }).click();
  await page.waitForURL((url) => url.origin === issuer);
  await page.locator('input[name=login]').fill(id);
  await page.locator('input[name=password]').fill('any');
  await page.locator('button[type=submit]').click();
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.waitForURL((url) => url.origin === new URL(page.base).origin);
}

async function open() {
  const page = await openPage(server);
  page.expected.push(/./); // the provider's own pages are not ours to judge
  return page;
}

for (const alg of ['RS256', 'ES256']) {
  test(`somebody who is a user here gets in, with his roles: ${alg}`, async () => {
    if (alg === 'ES256') {
      await server.halt();
      server.options[server.options.indexOf('RS256')] = alg;
      await server.relaunch();
    }
    const page = await open();
    await page.goto(`${page.base}/`);
    await page.getByRole('button', { name: 'Log in with OpenID' }).waitFor();
    await isClean(page, 'the door with a provider');
    await arrive(page, 'Anna');
    await page.getByRole('link', { name: 'anna@example.org' }).waitFor();
    assert.equal(new URL(page.url()).search, '', 'the code is out of the address');
    await visit(page, 'devices');
    assert.equal(await page.getByRole('link', { name: 'Audit' }).count(), 0);
    const noted = (await server.call('GET', 'audit?who=user%20anna%40example.org')).entries[0];
    assert.deepEqual([noted.action, noted.status, noted.detail.includes('***')], ['POST /session', 201, true]);
    await page.context().close();
  });
}

test('who is no user here, and whose address is not verified, stays outside', async () => {
  for (const [id, words] of [['bert', 'no user here is called bert@example.org'], ['x-anna', 'no verified e-mail address']]) {
    const page = await open();
    await arrive(page, id);
    await page.getByRole('alert').filter({ hasText: words }).waitFor();
    await page.context().close();
  }
});

test('a state that was not begun here, and one that was used, are refused', async () => {
  const page = await open();
  await page.goto(`${page.base}/?code=x&state=${'0'.repeat(64)}`);
  await page.getByRole('alert').filter({ hasText: 'This login was not begun here.' }).waitFor();
  const post = async (body) => {
    const answer = await fetch(`${server.admin}/api/v1/session`, { method: 'POST', body: JSON.stringify(body) });
    return [answer.status, (await answer.json()).detail];
  };
  const [status, detail] = await post({ state: '0'.repeat(64), code: 'x' });
  assert.deepEqual([status, detail], [401, 'this login is unknown, too old, or was used; begin again']);
  const { state, url } = await (await fetch(`${server.admin}/api/v1/session/oidc`, { method: 'POST', body: JSON.stringify({ redirect: `${server.admin}/` }) })).json();
  const asked = new URL(url).searchParams;
  assert.equal(asked.get('code_challenge_method'), 'S256');
  assert.ok(asked.get('nonce').length >= 43 && asked.get('state') === state);
  assert.equal((await post({ state, code: 'made up' }))[0], 502); // the provider refuses it
  assert.equal((await post({ state, code: 'made up' }))[0], 401); // and the state is used up
  const evil = await fetch(`${server.admin}/api/v1/session/oidc`, { method: 'POST', body: JSON.stringify({ redirect: 'http://evil.example/' }) });
  assert.equal(evil.status, 400);
  await page.context().close();
});
