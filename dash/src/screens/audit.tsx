// audit.tsx - what was done and refused, by whom and from where; and whether anybody tampered with it. Everything in it is text.
import { useState } from 'preact/hooks';
import { api, query } from '../api';
import { act } from '../dialog';
import { count, many } from '../format';
import { Load, onRules, useLoad } from '../load';
import { replace, type Route, to } from '../route';
import { canAll } from '../session';
import type { AuditEntry, AuditPage, AuditVerdict } from '../types';
import { Ago, Badge, Button, Copy, Empty, Panel, Screen } from '../ui';

const words: [RegExp, (...parts: string[]) => string][] = [
  [/^POST \/session$/, () => 'logs in'], [/^DELETE \/session$/, () => 'logs out'], [/^DELETE \/account\/sessions$/, () => 'logs out everywhere'],
  [/^PUT \/account\/password$/, () => 'changes the password'], [/^POST \/account\/totp$/, () => 'begins a second factor'],
  [/^PUT \/account\/totp$/, () => 'turns the second factor on'], [/^POST \/account\/totp\/off$/, () => 'turns the second factor off'],
  [/^POST \/users$/, () => 'makes a user'], [/^PATCH \/users\/(.+)$/, (name) => `changes user ${name}`], [/^DELETE \/users\/(.+)$/, (name) => `removes user ${name}`],
  [/^POST \/tokens$/, () => 'makes a token'], [/^DELETE \/tokens\/(.+)$/, (id) => `revokes token ${id}`],
  [/^POST \/releases$/, () => 'publishes'], [/^POST \/releases\/(\d+)\/yank$/, (id) => `yanks release ${id}`], [/^POST \/releases\/(\d+)\/unyank$/, (id) => `offers release ${id} again`],
  [/^PATCH \/releases\/(\d+)$/, (id) => `changes release ${id}`], [/^POST \/rollouts$/, () => 'makes a rollout'],
  [/^POST \/rollouts\/(\d+)\/approve$/, (id) => `approves of rollout ${id}`], [/^POST \/rollouts\/(\d+)\/(\w+)$/, (id, order) => `rollout ${id}: ${order}`],
  [/^PATCH \/products\/(.+)$/, (name) => `changes product ${name}`], [/^POST \/products\/(.+)\/keys$/, (name) => `trusts a key for ${name}`],
  [/^DELETE \/products\/(.+)\/keys$/, (name) => `trusts a key of ${name} no more`], [/^PATCH \/devices$/, () => 'changes many devices'],
  [/^PUT \/devices\/(.+)$/, (id) => `registers device ${id}`], [/^PATCH \/devices\/(.+)$/, (id) => `changes device ${id}`],
  [/^DELETE \/devices\/(.+)$/, (id) => `forgets device ${id}`], [/^POST \/devices$/, () => 'registers devices'],
  [/^PUT \/filters\/(.+)$/, (name) => `saves filter ${name}`], [/^DELETE \/filters\/(.+)$/, (name) => `deletes filter ${name}`],
  [/^PATCH \/groups\/(.+)$/, (name) => `renames group ${name}`], [/^DELETE \/groups\/(.+)$/, (name) => `dissolves group ${name}`],
  [/^POST \/webhooks$/, () => 'makes a webhook'], [/^PATCH \/webhooks\/(\d+)$/, (id) => `changes webhook ${id}`],
  [/^DELETE \/webhooks\/(\d+)$/, (id) => `deletes webhook ${id}`], [/^POST \/webhooks\/(\d+)\/test$/, (id) => `tests webhook ${id}`],
  [/^POST \/devices\/(.+)\/retry$/, (id) => `lets device ${id} try again`],
];
export const sayAction = (action: string): string => {
  for (const [pattern, text] of words) {
    const found = pattern.exec(action);
    if (found) return text(...found.slice(1));
  }
  return action;
};

function Row({ one }: { one: AuditEntry }) {
  const result = one.status === 0 ? <Badge tone="warn" title="The server ended before it answered.">not known</Badge> : one.status < 400 ? <Badge tone="good">done</Badge> : <Badge tone="warn" title={`HTTP status ${one.status}`}>{one.reason ?? 'refused'}</Badge>;
  return <tr><td class="when wide"><Ago ms={one.at_ms} /><span class="second">no. {count(one.seq)}</span></td>
    <td class="who">{one.who}<span class="second">{one.from}</span><span class="narrow dim"><Ago ms={one.at_ms} /></span></td>
    <td>{sayAction(one.action)}{one.product && <span class="dim"> · {one.product}</span>}<span class="second mono break">{one.action}{one.detail && ` ${one.detail}`}</span><span class="narrow">{result}</span></td>
    <td class="wide">{result}</td></tr>;
}

async function exportAll(): Promise<void> {
  const lines: string[] = [];
  for (let after: number | null = 0; after !== null;) {
    const page: AuditPage = await api<AuditPage>(`audit${query({ after: String(after), limit: 1000 })}`);
    lines.push(...page.entries.map((entry) => `${JSON.stringify(entry)}\n`));
    after = page.next;
  }
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob(lines, { type: 'application/jsonl' }));
  link.download = `molt-audit-${new Date().toISOString().slice(0, 10)}.jsonl`;
  link.click();
  URL.revokeObjectURL(link.href);
}

function Verdict({ verdict }: { verdict: AuditVerdict }) {
  const end = `${verdict.end.seq}:${verdict.end.hash}`;
  return <div class={`note ${verdict.good ? 'good' : 'bad'}`} role="status">
    {verdict.good
      ? <p>{many(verdict.entries, 'entry', 'entries')}, each as it was written. Keep the end where nobody who can write to the database reaches it: <code>molt audit verify --expect</code> finds with it what a log of its own cannot.</p>
      : <p><b>Entry {verdict.bad}: {verdict.why}.</b> {many(verdict.entries, 'entry', 'entries')} before it are as they were written. Somebody changed the database behind the server's back.</p>}
    <div class="actions"><code class="break">{end}</code><Copy value={end} label="Copy the end" /></div>
  </div>;
}

export function Audit({ route }: { route: Route }) {
  const q = route.params.get('q') ?? '';
  const before = route.params.get('before');
  const [text, setText] = useState(q);
  const [verdict, setVerdict] = useState<AuditVerdict | null>(null);
  const page = useLoad<AuditPage>(`audit${query({ limit: 50, q, before })}`, onRules);
  const show = (event: Event) => { event.preventDefault(); replace(to('audit', { q: text.trim() })); };
  const verify = () => void act('', async () => setVerdict(await api<AuditVerdict>('audit/verify')), undefined, true);
  return <Screen title="Audit" sub="Who did what, from where, and with which result."
    actions={canAll('admin') && <><Button icon="ok" onClick={verify}>Verify</Button><Button onClick={() => void act('Exported.', exportAll)}>Export</Button></>}>
    {verdict && <Verdict verdict={verdict} />}
    <Panel class="flush">
      <form class="toolbar" onSubmit={show}><div class="filter"><input type="search" aria-label="Look for" placeholder="A name, an address, /rollouts/, forbidden …" value={text} onInput={(event) => setText(event.currentTarget.value)} /><Button type="submit" kind="main">Find</Button></div></form>
      <Load of={page} lines={8}>{({ entries, next }) => entries.length === 0
        ? <Empty title={q ? 'Nothing has these words' : 'Nothing was done yet'} icon="list">{q && <Button onClick={() => { setText(''); replace(to('audit')); }}>Show all</Button>}</Empty>
        : <><div class="table-wrap"><table class="audit"><thead><tr><th scope="col" class="wide">When</th><th scope="col">Who</th><th scope="col">What</th><th scope="col" class="wide">Result</th></tr></thead>
          <tbody>{entries.map((one) => <Row key={one.seq} one={one} />)}</tbody></table></div>
          <div class="pager"><span>{many(entries.length, 'entry', 'entries')}{before ? '' : ', the latest'}</span><div class="actions">
            <Button disabled={!before} onClick={() => replace(to('audit', { q }))}>Latest</Button>
            <Button disabled={next === null} onClick={() => replace(to('audit', { q, before: String(next) }))}>Older</Button></div></div></>}</Load>
    </Panel>
  </Screen>;
}
