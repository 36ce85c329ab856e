// main.tsx - begins: is somebody logged in, and which screen does the address name.
import { render } from 'preact';
import { useCallback, useEffect, useState } from 'preact/hooks';
import { setLoggedOut, text } from './api';
import { Frame, initTheme } from './frame';
import { startLive, stopLive } from './live';
import { Login } from './login';
import { type Route, to, useRoute } from './route';
import { isBackFromProvider, resumeSession, returnFromProvider } from './session';
import { Account } from './screens/account';
import { Audit } from './screens/audit';
import { Device } from './screens/device';
import { Devices } from './screens/devices';
import { Enrolment } from './screens/enrolment';
import { Groups } from './screens/groups';
import { Health } from './screens/health';
import { Overview } from './screens/overview';
import { Plan } from './screens/plan';
import { PublishPage, ReleasePage, Releases } from './screens/releases';
import { RolloutPage, Rollouts } from './screens/rollouts';
import { Settings } from './screens/settings';
import { Users } from './screens/users';
import { Webhooks } from './screens/webhooks';
import { Welcome } from './screens/welcome';
import { Button, Empty, LinkButton, Screen } from './ui';
import './style.css';

function NotFound() {
  return <Screen title="No such page"><Empty title="This address leads nowhere" icon="search"><LinkButton href={to('')}>To the overview</LinkButton></Empty></Screen>;
}

function pick(route: Route) {
  const [first = '', second] = route.parts;
  switch (first) {
  case '': return <Overview />;
  case 'devices': return second ? <Device key={second} id={second} /> : <Devices route={route} />;
  case 'releases': return second === 'new' ? <PublishPage /> : second ? <ReleasePage key={second} id={second} /> : <Releases />;
  case 'rollouts': return second === 'new' ? <Plan route={route} /> : second ? <RolloutPage key={second} id={second} /> : <Rollouts />;
  case 'enrolment': return <Enrolment />;
  case 'settings': return <Settings />;
  case 'health': return <Health />;
  case 'groups': return <Groups />;
  case 'webhooks': return <Webhooks />;
  case 'users': return <Users />;
  case 'audit': return <Audit route={route} />;
  case 'account': return <Account />;
  case 'welcome': return <Welcome />;
  default: return <NotFound />;
  }
}

function App() {
  const route = useRoute();
  const [state, setState] = useState<'asking' | 'in' | 'out' | { error: string }>('asking');
  const [problem, setProblem] = useState<string | null>(null);
  const leave = useCallback(() => { stopLive(); setState('out'); }, []);
  const enter = useCallback(() => { startLive(); setState('in'); }, []);
  const begin = useCallback(() => {
    const back = isBackFromProvider() ? returnFromProvider().catch((error: unknown) => setProblem(text(error))) : Promise.resolve();
    back.then(resumeSession).then((is) => (is ? enter() : leave())).catch((error: unknown) => setState({ error: text(error) }));
  }, [enter, leave]);
  useEffect(() => { setLoggedOut(() => void resumeSession().catch(() => false).then(leave)); begin(); }, [begin, leave]);
  if (state === 'asking') return <main class="login" aria-busy="true"><h1 class="brand">molt</h1></main>; // as in index.html, which is painted first
  if (state === 'out') return <Login done={enter} problem={problem} />;
  if (state !== 'in') return <main class="login"><h1 class="visually-hidden">molt</h1>
    <Empty title="The server does not answer" icon="warn"><p>{state.error}</p><Button kind="main" onClick={begin}>Try again</Button></Empty></main>;
  return <Frame route={route} leave={leave}>{pick(route)}</Frame>;
}

initTheme();
render(<App />, document.getElementById('app')!);
