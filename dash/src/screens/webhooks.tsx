// webhooks.tsx - who is told of what happens: made, switched off and on, tested, deleted; and what came of each delivery. A secret is
// shown once, when it is made.
import { useState } from 'preact/hooks';
import { api } from '../api';
import { act, ask, Modal } from '../dialog';
import { Load, useLoad } from '../load';
import { Paged } from '../pager';
import { Ago, Badge, Button, Copy, Empty, Field, Panel, Screen } from '../ui';

interface Webhook { id: number; url: string; events: string[]; enabled: boolean; note: string | null }
interface List { webhooks: Webhook[]; events: { name: string; when: string }[] }
interface Delivery { id: number; event: string; state: 'waits' | 'delivered' | 'given-up'; created_ms: number; tries: number; status: number | null; error: string | null }

const tones = { waits: 'busy', delivered: 'good', 'given-up': 'bad' } as const;

function Log({ hook, close }: { hook: Webhook; close: () => void }) {
  const log = useLoad<{ deliveries: Delivery[] }>(`webhooks/${hook.id}/deliveries?limit=20`);
  return <Modal title={`Deliveries to ${new URL(hook.url).host}`} onClose={close}>
    <Load of={log} lines={4}>{(page) => page.deliveries.length === 0 ? <Empty title="Nothing was sent yet" icon="list" />
      : <ul class="plain">{page.deliveries.map((one) => <li key={one.id}><Badge tone={tones[one.state]}>{one.state}</Badge> <strong>{one.event}</strong> <Ago ms={one.created_ms} />
        {one.tries > 1 && <span class="dim"> {one.tries} tries</span>}{one.error && <span class="second">{one.error}</span>}</li>)}</ul>}</Load>
    <div class="actions"><Button onClick={log.reload}>Look again</Button><Button kind="main" onClick={close}>Close</Button></div>
  </Modal>;
}

function Make({ events, made }: { events: List['events']; made: (secret: string) => void }) {
  const [url, setUrl] = useState('');
  const [wanted, setWanted] = useState<string[]>(['device.failed', 'rollout.paused']);
  const turn = (name: string) => setWanted(wanted.includes(name) ? wanted.filter((one) => one !== name) : [...wanted, name]);
  const make = async (event: Event) => {
    event.preventDefault();
    let secret = '';
    const send = () => api<{ secret: string }>('webhooks', { method: 'POST', body: { url, events: wanted } }).then((answer) => { secret = answer.secret; });
    if (!await act('The webhook is made.', send, undefined, true)) return;
    setUrl('');
    made(secret);
  };
  return <Panel title="Tell an address">
    <form class="form" onSubmit={(event) => void make(event)}>
      <Field label="Address" hint="Public ones only, unless molt serve --webhook-allow has it"><input type="text" inputMode="url" required placeholder="https://hooks.example.org/molt" value={url} onInput={(event) => setUrl(event.currentTarget.value)} /></Field>
      <div class="field" role="group" aria-label="Of what"><span>Of what</span><div class="choices">{events.map((one) => <label key={one.name} class="switch" title={one.when}>
        <input type="checkbox" checked={wanted.includes(one.name)} onChange={() => turn(one.name)} /><span>{one.name}</span></label>)}</div></div>
      <div><Button kind="main" type="submit" disabled={!url || wanted.length === 0}>Make</Button></div>
    </form>
  </Panel>;
}

export function Webhooks() {
  const list = useLoad<List>('webhooks');
  const [secret, setSecret] = useState<string | null>(null);
  const [looking, setLooking] = useState<Webhook | null>(null);
  const turn = async (hook: Webhook) => {
    const put = (enabled: boolean) => api(`webhooks/${hook.id}`, { method: 'PATCH', body: { enabled } });
    if (await act(hook.enabled ? 'It is told nothing.' : 'It is told again.', () => put(!hook.enabled), () => put(hook.enabled).then(list.reload))) list.reload();
  };
  const test = (hook: Webhook) => act('A test is on its way; the log says what came of it.', () => api(`webhooks/${hook.id}/test`, { method: 'POST', body: {} }));
  const forget = async (hook: Webhook) => {
    if (!await ask(`Tell ${hook.url} nothing more?`, { body: 'What waits for it is forgotten, too.', action: 'Delete', bad: true })) return;
    if (await act('Deleted.', () => api(`webhooks/${hook.id}`, { method: 'DELETE' }))) list.reload();
  };
  return <Screen title="Webhooks" sub="What happens here, told to programs elsewhere; signed as of Standard Webhooks.">
    <Load of={list} lines={6}>{(page) => <div class="stack">
      <Panel title="Receivers" class="flush">{page.webhooks.length === 0 ? <Empty title="Nobody is told" icon="pulse" />
        : <Paged all={page.webhooks}>{(rows) => <div class="table-wrap"><table><thead><tr><th scope="col">Address</th><th scope="col"><span class="visually-hidden">Actions</span></th></tr></thead>
          <tbody>{rows.map((hook) => <tr key={hook.id}>
            <td><span class="main">{hook.url}</span>{!hook.enabled && <Badge tone="warn" icon="pause">off</Badge>}<span class="second">{hook.events.join(', ')}</span></td>
            <td><div class="actions end">
              <Button kind="plain" disabled={!hook.enabled} aria-label={`Test ${hook.url}`} onClick={() => void test(hook)}>Test</Button>
              <Button kind="plain" aria-label={`Log of ${hook.url}`} onClick={() => setLooking(hook)}>Log</Button>
              <Button kind="plain" aria-label={`Switch ${hook.url} ${hook.enabled ? 'off' : 'on'}`} onClick={() => void turn(hook)}>{hook.enabled ? 'Off' : 'On'}</Button>
              <Button kind="plain" aria-label={`Delete ${hook.url}`} onClick={() => void forget(hook)}>Delete</Button>
            </div></td></tr>)}</tbody></table></div>}</Paged>}</Panel>
      <Make events={page.events} made={(text) => { setSecret(text); list.reload(); }} />
    </div>}</Load>
    {secret !== null && <Modal title="Its secret" onClose={() => setSecret(null)}>
      <p>The receiver checks signatures with it. It is shown only now.</p><pre>{secret}</pre>
      <div class="actions"><Copy value={secret} /><Button kind="main" onClick={() => setSecret(null)}>Done</Button></div></Modal>}
    {looking && <Log hook={looking} close={() => setLooking(null)} />}
  </Screen>;
}
