// screenshots.mjs - the pictures of doc/, made anew when somebody asks: ./dev screenshots. The folder is MOLT_DASH_SHOTS.
import test, { after, before } from 'node:test';
import { fleet } from './fleet.mjs';
import { finish, isClean, logIn, openPage, shot, visit } from './harness.mjs';

let server;
before(async () => { server = await fleet(24); });
after(finish);

for (const [name, path, sight] of [
  ['dashboard', '', { theme: 'light', width: 1240, height: 800 }], ['dashboard-rollout', 'rollouts/2', { theme: 'dark', width: 1240, height: 840 }],
  ['dashboard-devices', 'devices', { theme: 'light', width: 1240, height: 800 }], ['dashboard-health', 'health', { theme: 'dark', width: 1240, height: 800 }],
  ['dashboard-device', 'devices/240ac4000001', { theme: 'light', width: 390, height: 844 }],
]) {
  test(name, async () => {
    const page = await openPage(server, sight);
    await logIn(page, server);
    await visit(page, path);
    await page.waitForFunction(() => !document.querySelector('[aria-busy="true"]'));
    if (sight.width > 500) await page.getByText('Live', { exact: true }).waitFor();
    await isClean(page, name);
    await page.mouse.move(0, 0);
    await shot(page, name);
  });
}
