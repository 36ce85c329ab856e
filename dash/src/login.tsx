// login.tsx - a name and password, or a token, for a cookie. Each is sent once and not kept.
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, text } from './api';
import { Brand } from './frame';
import { leaveForProvider, logIn, logInByToken, session } from './session';
import { Button, Field } from './ui';

function useSubmit(done: () => void) {
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const run = (what: () => Promise<void>, failed: (problem: unknown) => string | null = text) => {
    setBusy(true);
    setError(null);
    what().then(done).catch((problem: unknown) => { setError(failed(problem)); setBusy(false); });
  };
  return { error, setError, busy, run };
}

function ByPassword({ done }: { done: () => void }) {
  const { error, setError, busy, run } = useSubmit(done);
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [code, setCode] = useState<string | null>(null); // null: none is asked for
  const first = useRef<HTMLInputElement>(null);
  const second = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.focus(), []);
  useEffect(() => { if (code !== null) second.current?.focus(); }, [code === null]);
  const failed = (problem: unknown): string | null => {
    const asks = problem instanceof ApiError && problem.reason === 'second-factor';
    if (asks && code === null) { setCode(''); return null; }
    return asks ? 'The code is wrong, or was used before.' : text(problem);
  };
  const submit = (event: Event) => {
    event.preventDefault();
    if (!name.trim() || !password) { setError('Your name and password, please.'); return; }
    run(() => logIn(name.trim(), password, (code ?? '').trim()), failed);
  };
  return <form onSubmit={submit} method="dialog">
    <Brand />
    <h1>Log in</h1>
    <Field label="Name"><input ref={first} type="text" name="username" autocomplete="username" autocapitalize="off" spellcheck={false} value={name} onInput={(event) => setName(event.currentTarget.value)} /></Field>
    <Field label="Password" error={code === null ? error : null}><input type="password" name="password" autocomplete="current-password" value={password} onInput={(event) => setPassword(event.currentTarget.value)} /></Field>
    {code !== null && <Field label="Code" hint="Six digits of your authenticator app, or a recovery code" error={error}>
      <input ref={second} type="text" inputMode="numeric" autocomplete="one-time-code" value={code} onInput={(event) => setCode(event.currentTarget.value)} /></Field>}
    <div><Button kind="main" type="submit" busy={busy}>Log in</Button></div>
  </form>;
}

function ByToken({ done }: { done: () => void }) {
  const { error, setError, busy, run } = useSubmit(done);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const submit = (event: Event) => {
    event.preventDefault();
    const token = input.current!.value.trim();
    if (!token) setError('Paste the token that the server printed at its first start.');
    else run(() => logInByToken(token));
  };
  return <form onSubmit={submit} method="dialog">
    <Brand />
    <h1>Log in</h1>
    <Field label="Admin token" error={error}
      hint={<>Printed once when <code>molt serve</code> first started. <code>molt token create</code> on the server makes another.</>}>
      <input ref={input} type="password" name="token" autocomplete="current-password" autocapitalize="off" spellcheck={false} />
    </Field>
    <div><Button kind="main" type="submit" busy={busy}>Log in</Button></div>
  </form>;
}

export function Login({ done, problem }: { done: () => void; problem: string | null }) {
  const [error, setError] = useState(problem);
  const [byToken, setByToken] = useState(!session().users);
  useEffect(() => { document.title = 'Log in · molt'; }, []);
  return <main class="login"><div class="doors">
    {error && <p class="note bad" role="alert">{error}</p>}
    {byToken ? <ByToken done={done} /> : <ByPassword done={done} />}
    {session().oidc && <p><Button onClick={() => void leaveForProvider().catch((failed: unknown) => setError(text(failed)))}>Log in with OpenID</Button></p>}
    <p><Button kind="plain" onClick={() => setByToken(!byToken)}>{byToken ? 'With a name and password' : 'With a token'}</Button></p>
  </div></main>;
}
