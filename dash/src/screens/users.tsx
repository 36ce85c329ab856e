// users.tsx - who may log in and what for, and the tokens that let programs and devices in.
import { useState } from 'preact/hooks';
import { api } from '../api';
import { act, ask, Modal } from '../dialog';
import { mac } from '../format';
import { Load, onRules, useLoad } from '../load';
import { Paged } from '../pager';
import { roleNames, session } from '../session';
import type { Product, Token, User } from '../types';
import { Ago, Badge, Button, Copy, Empty, Field, Panel, Screen } from '../ui';

interface Role { role: string; of: string } // of '': all products
const split = (text: string): Role => { const [role = '', of = ''] = text.split(/@(.*)/s, 2); return { role, of }; };
const join = ({ role, of }: Role): string => (of ? `${role}@${of}` : role);

function Roles({ roles, set, products }: { roles: Role[]; set: (roles: Role[]) => void; products: Product[] }) {
  const put = (at: number, part: Partial<Role>) => set(roles.map((one, n) => (n === at ? { ...one, ...part } : one)));
  return <fieldset class="roles"><legend>Roles</legend>
    {roles.map((one, n) => <div key={n}>
      <select aria-label={`Role ${n + 1}`} value={one.role} onChange={(event) => put(n, { role: event.currentTarget.value })}>{roleNames.map((name) => <option key={name} value={name}>{name}</option>)}</select>
      <select aria-label={`Products of role ${n + 1}`} value={one.of} onChange={(event) => put(n, { of: event.currentTarget.value })}>
        <option value="">all products</option>{products.map((product) => <option key={product.name} value={product.name}>{product.name}</option>)}</select>
      <Button kind="plain" icon="fail" aria-label={`Remove role ${n + 1}`} disabled={roles.length < 2} onClick={() => set(roles.filter((_, at) => at !== n))} />
    </div>)}
    <div><Button kind="plain" onClick={() => set([...roles, { role: 'viewer', of: products[0]?.name ?? '' }])}>Another role</Button></div>
  </fieldset>;
}

function Editor({ user, products, close, reload }: { user: User | null; products: Product[]; close: () => void; reload: () => void }) {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [roles, setRoles] = useState<Role[]>(user ? user.roles.map(split) : [{ role: session().users ? 'viewer' : 'admin', of: '' }]);
  const [busy, setBusy] = useState(false);
  const save = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    const body = { roles: roles.map(join), ...(password ? { password } : {}) };
    const path = user && `users/${encodeURIComponent(user.name)}`;
    const undo = password ? undefined : () => api(path!, { method: 'PATCH', body: { roles: user!.roles } }).then(reload); // nobody has the old password
    const done = user
      ? await act(`${user.name} is changed.`, () => api(path!, { method: 'PATCH', body }), undo)
      : await act(`${name.trim().toLowerCase()} may log in.`, () => api('users', { body: { name: name.trim().toLowerCase(), ...body } }));
    setBusy(false);
    if (done) { reload(); close(); }
  };
  return <Modal title={user ? user.name : 'New user'} onClose={close}><form class="form" onSubmit={(event) => void save(event)}>
    {!user && <Field label="Name" hint="a-z, 0-9, . _ @ + -"><input type="text" required maxLength={48} autocapitalize="off" autocomplete="off" spellcheck={false} value={name} onInput={(event) => setName(event.currentTarget.value)} /></Field>}
    <Field label={user ? 'New password' : 'Password'} hint={user ? 'Left empty: it stays. A new one ends all sessions of this user.' : '10 to 128 characters; it can be changed under My account'}>
      <input type="password" autocomplete="new-password" required={!user} minLength={10} maxLength={128} value={password} onInput={(event) => setPassword(event.currentTarget.value)} /></Field>
    <Roles roles={roles} set={setRoles} products={products} />
    <p class="dim">A viewer sees. An operator also steers devices and rollouts, an uploader publishes, an approver approves of rollouts of others; an admin may do all of it.</p>
    <div class="actions"><Button onClick={close}>Cancel</Button><Button kind="main" type="submit" busy={busy}>{user ? 'Save' : 'Make it'}</Button></div>
  </form></Modal>;
}

function UserRow({ one, edit, reload }: { one: User; edit: () => void; reload: () => void }) {
  const path = `users/${encodeURIComponent(one.name)}`;
  const set = (said: string, body: object, back?: object) =>
    act(said, () => api(path, { method: 'PATCH', body }), back ? () => api(path, { method: 'PATCH', body: back }).then(reload) : undefined).then(reload);
  const remove = async () => {
    if (!await ask(`Remove ${one.name}?`, { body: <p>All sessions end. What was done stays in the audit log, and tokens that this user made open nothing any more.</p>, action: 'Remove', bad: true })) return;
    if (await act(`${one.name} is removed.`, () => api(path, { method: 'DELETE' }))) reload();
  };
  const roles = one.roles.map((role) => <span key={role} class="role">{role}</span>);
  return <tr><td><b>{one.name}</b>{one.name === session().user && <span class="dim"> (you)</span>}<span class="second">last login <Ago ms={one.login_ms} /></span><span class="narrow wrap">{roles}</span></td>
    <td class="wide">{roles}</td>
    <td class="wide"><div class="badges">{one.disabled && <Badge tone="bad" icon="hold">disabled</Badge>}{one.totp ? <Badge tone="good">second factor</Badge> : <Badge tone="calm">password only</Badge>}{!one.password && <Badge tone="warn">no password</Badge>}</div></td>
    <td><div class="actions end"><Button kind="plain" aria-label={`Edit ${one.name}`} onClick={edit}>Edit</Button>
      {one.totp && <Button kind="plain" aria-label={`Take the second factor of ${one.name} away`} onClick={() => void set(`${one.name} logs in without a second factor.`, { totp: false })}>Lost phone</Button>}
      <Button kind="plain" aria-label={`${one.disabled ? 'Let in' : 'Keep out'} ${one.name}`} onClick={() => void set(one.disabled ? `${one.name} may log in.` : `${one.name} is kept out.`, { disabled: !one.disabled }, { disabled: one.disabled })}>{one.disabled ? 'Let in' : 'Keep out'}</Button>
      <Button kind="plain" aria-label={`Remove ${one.name}`} onClick={() => void remove()}>Remove</Button></div></td></tr>;
}

function People({ products }: { products: Product[] }) {
  const users = useLoad<{ users: User[] }>('users', onRules);
  const [editing, setEditing] = useState<User | 'new' | null>(null);
  return <Panel title="Users" class="flush" actions={<Button kind="main" onClick={() => setEditing('new')}>New user</Button>}>
    <Load of={users}>{({ users: all }) => all.length === 0
      ? <Empty title="Nobody has a login of his own" icon="people"><p>Make one for yourself first, with the role admin, and log in by it: then the audit log says who did what, and a rollout can be approved by somebody else.</p><Button kind="main" onClick={() => setEditing('new')}>Make the first user</Button></Empty>
      : <Paged all={all}>{(rows) => <div class="table-wrap"><table><thead><tr><th scope="col">User</th><th scope="col" class="wide">Roles</th><th scope="col" class="wide">State</th><th><span class="visually-hidden">Actions</span></th></tr></thead>
        <tbody>{rows.map((one) => <UserRow key={one.name} one={one} edit={() => setEditing(one)} reload={users.reload} />)}</tbody></table></div>}</Paged>}</Load>
    {editing && <Editor user={editing === 'new' ? null : editing} products={products} close={() => setEditing(null)} reload={users.reload} />}
  </Panel>;
}

function NewToken({ products, close, reload }: { products: Product[]; close: () => void; reload: () => void }) {
  const [label, setLabel] = useState('');
  const [kind, setKind] = useState('admin');
  const [of, setOf] = useState('');
  const [role, setRole] = useState('viewer');
  const [days, setDays] = useState('90');
  const [made, setMade] = useState<string | null>(null);
  const shared = kind === 'gateway' || kind === 'enrol';
  const make = async (event: Event) => {
    event.preventDefault();
    const body = {
      label: label.trim() || null, kind, expires_ms: days ? Date.now() + Number(days) * 86400000 : null,
      ...(kind === 'device' ? { device: of.trim() } : of ? { product: of } : {}), ...(kind === 'admin' ? { roles: [role] } : {}),
    };
    await act('The token is made.', async () => { setMade((await api<{ token: string }>('tokens', { body })).token); reload(); });
  };
  if (made) return <Modal title="The new token" onClose={close}>
    <p>Copy it now: only its fingerprint is kept, and it is not shown again.</p><pre tabIndex={0}>{made}</pre>
    <div class="actions"><Copy value={made} /><Button kind="main" onClick={close}>Done</Button></div></Modal>;
  return <Modal title="New token" onClose={close}><form class="form" onSubmit={(event) => void make(event)}>
    <Field label="What it is for"><input type="text" value={label} maxLength={64} onInput={(event) => setLabel(event.currentTarget.value)} /></Field>
    <Field label="Kind"><select value={kind} onChange={(event) => { setKind(event.currentTarget.value); setOf(''); }}>
      <option value="admin">api: for programs, with a role</option><option value="device">device: the reports of one device</option>
      <option value="gateway">gateway: reports of all devices of a product</option><option value="enrol">enrol: takes new devices of a product in</option></select></Field>
    {kind === 'admin' && <div class="pair">
      <Field label="Role"><select value={role} onChange={(event) => setRole(event.currentTarget.value)}>{roleNames.map((one) => <option key={one} value={one}>{one}</option>)}</select></Field>
      <Field label="For"><select value={of} onChange={(event) => setOf(event.currentTarget.value)}><option value="">all products</option>{products.map((one) => <option key={one.name} value={one.name}>{one.name}</option>)}</select></Field>
    </div>}
    {kind === 'device' && <Field label="Device"><input type="text" class="mono" required value={of} onInput={(event) => setOf(event.currentTarget.value)} /></Field>}
    {shared && <Field label="Product"><select required value={of} onChange={(event) => setOf(event.currentTarget.value)}><option value="">Choose …</option>{products.map((one) => <option key={one.name} value={one.name}>{one.name}</option>)}</select></Field>}
    <Field label="Ends"><select value={days} onChange={(event) => setDays(event.currentTarget.value)}>
      <option value="7">in a week</option><option value="90">in 90 days</option><option value="365">in a year</option><option value="">never</option></select></Field>
    <div class="actions"><Button onClick={close}>Cancel</Button><Button kind="main" type="submit">Make it</Button></div>
  </form></Modal>;
}

function Tokens({ products }: { products: Product[] }) {
  const tokens = useLoad<{ tokens: Token[] }>('tokens', onRules);
  const [making, setMaking] = useState(false);
  const revoke = async (one: Token) => {
    const last = one.kind === 'admin' && one.roles.includes('admin') && (tokens.data?.tokens ?? []).filter((other) => other.kind === 'admin' && other.roles.includes('admin')).length === 1;
    if (!await ask(`Revoke ${one.label ?? one.id}?`, {
      body: <p>Whoever uses it is refused from now on{one.kind === 'admin' && ', also people who logged in with it'}. This cannot be undone.{last && ' It is the last admin token: afterwards only admins who log in by a password and the command line on the server can make another.'}</p>, action: 'Revoke', bad: true,
    })) return;
    if (await act('The token is revoked.', () => api(`tokens/${one.id}`, { method: 'DELETE' }))) tokens.reload();
  };
  return <Panel title="Tokens" class="flush" actions={<Button onClick={() => setMaking(true)}>New token</Button>}>
    <Load of={tokens} lines={4}>{({ tokens: all }) => all.length === 0 ? <Empty title="There is no token" />
      : <Paged all={all}>{(rows) => <div class="table-wrap"><table><thead><tr><th scope="col">Token</th><th scope="col">Kind</th><th scope="col" class="wide">Made</th><th scope="col" class="wide">Ends</th><th><span class="visually-hidden">Actions</span></th></tr></thead>
        <tbody>{rows.map((one) => <tr key={one.id}><td>{one.label ?? <span class="dim">no label</span>}<span class="second mono">{one.id}</span></td>
          <td>{one.kind === 'admin' ? one.roles.join(', ') : one.kind}<span class="second">{one.device ? mac(one.device) : one.product ?? (one.kind === 'admin' ? 'all products' : '')}</span></td>
          <td class="wide"><Ago ms={one.created_ms} /><span class="second">{one.made_by ?? ''}</span></td>
          <td class="wide">{one.expires_ms !== null && one.expires_ms < Date.now() ? <Badge tone="bad">expired</Badge> : <Ago ms={one.expires_ms} />}</td>
          <td class="num"><Button kind="plain" aria-label={`Revoke ${one.label ?? one.id}`} onClick={() => void revoke(one)}>Revoke</Button></td></tr>)}</tbody></table></div>}</Paged>}</Load>
    {making && <NewToken products={products} close={() => setMaking(false)} reload={tokens.reload} />}
  </Panel>;
}

export function Users() {
  const products = useLoad<{ products: Product[] }>('products', onRules);
  const all = products.data?.products ?? [];
  return <Screen title="Users and tokens"><div class="stack"><People products={all} /><Tokens products={all} /></div></Screen>;
}
