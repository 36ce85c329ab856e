// screens_test.mjs - every screen, filled and empty, in both themes and at 390 px: nothing that axe finds, no console error, no
// violation of the content policy, no request to elsewhere, no scrolling sideways.
import test, { after, before } from 'node:test';
import { fleet } from './fleet.mjs';
import { finish, isClean, logIn, openPage, Server, shot, sightName, sights, visit } from './harness.mjs';

let empty, full;

before(async () => {
  empty = await Server.start();
  full = await fleet(8);
});
after(finish);

const screens = [
  ['overview', ''], ['devices', 'devices'], ['device', 'devices/240ac4000001'], ['no-device', 'devices/ffffffffffff'], ['releases', 'releases'],
  ['release', 'releases/2'], ['publish', 'releases/new'], ['rollouts', 'rollouts'], ['rollout', 'rollouts/2'], ['rollout-1', 'rollouts/1'], ['plan', 'rollouts/new?release=1'],
  ['enrolment', 'enrolment'], ['groups', 'groups'], ['webhooks', 'webhooks'], ['settings', 'settings'], ['health', 'health'], ['users', 'users'], ['audit', 'audit'], ['account-token', 'account'], ['welcome', 'welcome'], ['nowhere', 'nowhere'],
];


for (const sight of sights) {
  for (const [which, server] of [['full', () => full], ['empty', () => empty]]) {
    if (which === 'empty' && (sight.theme === 'dark') !== (sight.width < 500)) continue; // one of each will do
    test(`${which}: ${sightName(sight)}`, async () => {
      const page = await openPage(server(), sight);
      page.expected.push(/404 \(Not Found\)/);
      await logIn(page, server());
      for (const [name, path] of screens) {
        await visit(page, path);
        await page.waitForFunction(() => !document.querySelector('[aria-busy="true"]'));
        await isClean(page, `${which} ${name}, ${sightName(sight)}`);
        await shot(page, `${name}-${which}-${sight.theme}-${sight.width}`, { fullPage: true });
      }
    });
  }
}

