// login.tsx - a token for a cookie. The token is sent once and not kept.
import { useEffect, useRef, useState } from 'preact/hooks';
import { logIn, text } from './api';
import { Brand } from './frame';
import { Button, Field } from './ui';

export function Login({ done }: { done: () => void }) {
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => { document.title = 'Log in · molt'; input.current?.focus(); }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    const token = input.current!.value.trim();
    if (!token) { setError('Paste the token that the server printed at its first start.'); return; }
    setBusy(true);
    try {
      await logIn(token);
      done();
    } catch (problem) {
      setError(text(problem));
      setBusy(false);
    }
  };
  return <main class="login">
    <form onSubmit={(event) => void submit(event)} method="dialog">
      <Brand />
      <h1>Log in</h1>
      <Field label="Admin token" error={error}
        hint={<>Printed once when <code>molt serve</code> first started. <code>molt token create</code> on the server makes another.</>}>
        <input ref={input} type="password" name="token" autocomplete="current-password" autocapitalize="off" spellcheck={false} />
      </Field>
      <div><Button kind="main" type="submit" busy={busy}>Log in</Button></div>
    </form>
  </main>;
}
