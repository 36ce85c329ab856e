// account.tsx - what somebody does with his own login: password, second factor, ending his sessions. Secrets are shown once.
import { useState } from 'preact/hooks';
import { api } from '../api';
import { act, ask, Modal } from '../dialog';
import { many, moment } from '../format';
import { Load, useLoad } from '../load';
import { session } from '../session';
import type { Account as Mine } from '../types';
import { Badge, Button, Copy, Empty, Fact, Field, Panel, QrCode, Screen } from '../ui';

function Password({ reload }: { reload: () => void }) {
  const [was, setWas] = useState('');
  const [next, setNext] = useState('');
  const [again, setAgain] = useState('');
  const [busy, setBusy] = useState(false);
  const differs = again !== '' && again !== next;
  const save = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    if (await act('The password is changed, and your other sessions are over.', () => api('account/password', { method: 'PUT', body: { password: was, new_password: next } }))) {
      setWas(''); setNext(''); setAgain(''); reload();
    }
    setBusy(false);
  };
  return <Panel title="Password"><form class="form" onSubmit={(event) => void save(event)}>
    <span class="visually-hidden" aria-hidden="true"><input type="text" tabIndex={-1} autocomplete="username" readOnly value={session().user ?? ''} /></span>
    <Field label="Password now"><input type="password" autocomplete="current-password" required value={was} onInput={(event) => setWas(event.currentTarget.value)} /></Field>
    <Field label="New password" hint="10 to 128 characters"><input type="password" autocomplete="new-password" required minLength={10} maxLength={128} value={next} onInput={(event) => setNext(event.currentTarget.value)} /></Field>
    <Field label="The same again" error={differs ? 'These are two different passwords.' : null}><input type="password" autocomplete="new-password" required value={again} onInput={(event) => setAgain(event.currentTarget.value)} /></Field>
    <div><Button kind="main" type="submit" busy={busy} disabled={!was || !next || again !== next}>Change it</Button></div>
  </form></Panel>;
}

/** Asks for the password, then does it. */
function Prove({ title, words, action, bad, run, close }: { title: string; words: string; action: string; bad?: boolean; run: (password: string) => Promise<boolean>; close: () => void }) {
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    if (!await run(password)) setBusy(false);
  };
  return <Modal title={title} onClose={close}><form class="form" onSubmit={(event) => void submit(event)}>
    <p>{words}</p>
    <Field label="Your password"><input type="password" autocomplete="current-password" required value={password} onInput={(event) => setPassword(event.currentTarget.value)} /></Field>
    <div class="actions"><Button onClick={close}>Cancel</Button><Button kind={bad ? 'bad' : 'main'} type="submit" busy={busy}>{action}</Button></div>
  </form></Modal>;
}

interface Secret { secret: string; url: string }

function Scan({ made, close, done }: { made: Secret; close: () => void; done: (codes: string[]) => void }) {
  const [code, setCode] = useState('');
  const submit = (event: Event) => {
    event.preventDefault();
    void act('The second factor is on.', async () => done((await api<{ recovery: string[] }>('account/totp', { method: 'PUT', body: { code: code.trim() } })).recovery));
  };
  return <Modal title="Put this into your authenticator app" onClose={close}><form class="form" onSubmit={submit}>
    <p>Scan it with the app. It is shown only now.</p>
    <QrCode text={made.url} label="QR code of the key" />
    <p class="dim">On this device: <a href={made.url}>open it in the app</a>. Or type it in as a time-based key:</p>
    <pre tabIndex={0} aria-label="Secret">{made.secret.match(/.{4}/g)?.join(' ')}</pre>
    <div class="actions"><Copy value={made.secret} label="Copy the key" /><Copy value={made.url} label="Copy the address" /></div>
    <Field label="The code that it shows now"><input type="text" inputMode="numeric" autocomplete="one-time-code" required maxLength={6} value={code} onInput={(event) => setCode(event.currentTarget.value)} /></Field>
    <div class="actions"><Button onClick={close}>Cancel</Button><Button kind="main" type="submit">Turn it on</Button></div>
  </form></Modal>;
}

function SecondFactor({ mine, reload }: { mine: Mine; reload: () => void }) {
  const [asking, setAsking] = useState<'on' | 'off' | null>(null);
  const [made, setMade] = useState<Secret | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const begin = async (password: string) => act('', async () => { setMade(await api<Secret>('account/totp', { body: { password } })); setAsking(null); }, undefined, true);
  const end = async (password: string) => {
    const done = await act('The second factor is off.', () => api('account/totp/off', { body: { password } }));
    if (done) { setAsking(null); reload(); }
    return done;
  };
  return <Panel title={<>Second factor {mine.totp ? <Badge tone="good">on</Badge> : <Badge tone="calm">off</Badge>}</>}
    actions={mine.totp ? <Button onClick={() => setAsking('off')}>Turn it off</Button> : <Button kind="main" onClick={() => setAsking('on')}>Turn it on</Button>}>
    <p>{mine.totp ? `Each login by password asks for six digits of your authenticator app. ${many(mine.recovery_left, 'recovery code')} left.` : 'Six digits of an authenticator app, besides the password: who learns your password can then do nothing with it.'}</p>
    {asking === 'on' && <Prove title="Turn the second factor on" words="So that an open page is not enough." action="Go on" run={begin} close={() => setAsking(null)} />}
    {asking === 'off' && <Prove title="Turn the second factor off?" words="Your password alone lets in from then on." action="Turn it off" bad run={end} close={() => setAsking(null)} />}
    {made && <Scan made={made} close={() => setMade(null)} done={(list) => { setMade(null); setCodes(list); reload(); }} />}
    {codes && <Modal title="Recovery codes" onClose={() => setCodes(null)}><p>Each lets you in once when the phone is lost. They are shown only now: print them, or keep them where you keep passwords.</p>
      <pre class="codes" tabIndex={0} aria-label="Recovery codes">{codes.join('\n')}</pre>
      <div class="actions"><Copy value={codes.join('\n')} /><Button kind="main" onClick={() => setCodes(null)}>I have them</Button></div></Modal>}
  </Panel>;
}

function Sessions({ mine }: { mine: Mine }) {
  const end = async () => {
    if (await ask('Log out everywhere?', { body: <p>All your sessions end, this one too.</p>, action: 'Log out everywhere', bad: true }))
      await act('', () => api('account/sessions', { method: 'DELETE' }).then(() => api('account')), undefined, true);
  };
  return <Panel title="Sessions" actions={<Button kind="bad" onClick={() => void end()}>Log out everywhere</Button>}>
    <dl class="facts"><Fact name="Logged in">{many(mine.sessions, 'time')}</Fact><Fact name="Here since">{session().since_ms ? moment(session().since_ms!) : '–'}</Fact></dl>
  </Panel>;
}

export function Account() {
  const mine = useLoad<Mine>(session().user ? 'account' : null, () => false);
  if (!session().user) return <Screen title="My account"><Panel><Empty title="You are logged in by a token" icon="person"><p>A token has no password. An admin can make a login of your own under Users and tokens.</p></Empty></Panel></Screen>;
  return <Screen title="My account" sub={session().user}>
    <Load of={mine}>{(data) => <div class="stack">
      <Panel title="What you may do"><div class="badges">{data.roles.map((role) => <span key={role} class="role">{role}</span>)}</div></Panel>
      <div class="cols"><Password reload={mine.reload} /><div class="stack"><SecondFactor mine={data} reload={mine.reload} /><Sessions mine={data} /></div></div>
    </div>}</Load>
  </Screen>;
}
