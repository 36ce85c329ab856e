// releases.tsx - what was published: the list, one release and who runs it, and publishing by drag and drop: the file is looked
// at first, and refused with the reason before anything is stored.
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError, query, text, type Reason } from '../api';
import { act, ask } from '../dialog';
import { bytes, count, quoted } from '../format';
import { Load, onRules, useLoad } from '../load';
import { Paged } from '../pager';
import { devices, to } from '../route';
import { can } from '../session';
import type { Counts, Facts as FileFacts, Image, Product, Published, Release, Rollout } from '../types';
import { Ago, Badge, Button, Empty, Fact, Field, Icon, LinkButton, Panel, Screen, State } from '../ui';

const FILE_MAX = 16 * 1024 * 1024;

const mayChange = (one: Release): boolean => can('operate', one.product) || can('upload', one.product);
const yank = (one: Release, reload: () => void) => async () => {
  const name = `${one.product} ${one.version}`;
  if (!one.yanked && !await ask(`Yank ${name}?`, { body: <p>No device is offered it any more. Devices that run it stay as they are. It can be offered again later.</p>, action: 'Yank', bad: true })) return;
  const path = (yes: boolean) => api(`releases/${one.id}/${yes ? 'yank' : 'unyank'}`, { method: 'POST' });
  if (await act(one.yanked ? `${name} is offered again.` : `${name} is yanked.`, () => path(!one.yanked), () => path(one.yanked).then(reload))) reload();
};

function Marks({ one }: { one: Release }) {
  const isSigned = one.images.some((image) => image.manifest !== null);
  return <span class="badges">
    {one.yanked && <Badge tone="bad" icon="stop">yanked</Badge>}
    {one.required && <Badge tone="warn" icon="steps">must pass through</Badge>}
    {isSigned && <Badge tone="good">signed</Badge>}
  </span>;
}

const chips = (one: Release): string => [...new Set(one.images.map((image) => [image.chip ?? 'any chip', image.component === 'fs' ? 'files' : '', image.variant ?? ''].filter(Boolean).join(' ')))].join(', ');

export function Releases() {
  const releases = useLoad<{ releases: Release[] }>('releases', onRules);
  const rollouts = useLoad<{ rollouts: Rollout[] }>('rollouts', onRules);
  const versions = useLoad<Counts>('device-counts?by=version', undefined, 5000);
  const runs = (one: Release) => (versions.data ? count(versions.data.groups.find((group) => group.value === one.version)?.count ?? 0) : '–');
  return <Screen title="Releases" actions={<LinkButton need="upload" kind="main" icon="up" href={to('releases/new')}>Publish</LinkButton>}>
    <Panel class="flush">
      <Load of={releases} lines={8}>{({ releases: all }) => all.length === 0
        ? <Empty title="Nothing is published yet" icon="box"><p>Drop a firmware file here: an Arduino <em>Export compiled binary</em>, or an ESP-IDF <code>build/app.bin</code>.</p>
          <LinkButton need="upload" kind="main" href={to('releases/new')}>Publish the first release</LinkButton></Empty>
        : <Paged all={[...all].sort((a, b) => b.created_ms - a.created_ms)}>{(rows) => <div class="table-wrap"><table>
          <thead><tr><th scope="col">Release</th><th scope="col" class="wide">For</th><th scope="col">Rollout</th><th scope="col" class="num">Run it</th><th scope="col" class="wide">Published</th><th scope="col" class="wide"><span class="visually-hidden">Actions</span></th></tr></thead>
          <tbody>{rows.map((one) => {
            const rollout = (rollouts.data?.rollouts ?? []).filter((item) => item.release === one.id).pop();
            return <tr key={one.id}>
              <td><a class="main" data-row href={to(`releases/${one.id}`)}>{one.product} {one.version}</a><span class="second">code {one.code} · {one.channel}</span><Marks one={one} /></td>
              <td class="wide">{chips(one)}</td>
              <td>{rollout ? <a href={to(`rollouts/${rollout.id}`)}><State of={rollout.status} /></a> : <span class="dim">{rollouts.data ? 'none' : '–'}</span>}</td>
              <td class="num"><a href={devices(`product = ${quoted(one.product ?? '')} and version = ${quoted(one.version ?? '')}`)}>{runs(one)}</a></td>
              <td class="wide"><Ago ms={one.created_ms} /></td>
              <td class="wide num">{mayChange(one) && <Button kind="plain" onClick={() => void yank(one, releases.reload)()}>{one.yanked ? 'Offer again' : 'Yank'}</Button>}</td>
            </tr>;
          })}</tbody>
        </table></div>}</Paged>}</Load>
    </Panel>
  </Screen>;
}

function ImageFacts({ image }: { image: Image }) {
  const saved = (of: { size: number } | null) => (of && image.raw ? `${bytes(of.size)} (${Math.round(100 - (100 * of.size) / image.raw.size)} % less)` : '–');
  return <Panel title={[image.chip ?? 'any chip', image.component === 'fs' ? 'file system' : 'application', image.variant].filter(Boolean).join(' · ')}>
    <dl class="facts">
      <Fact name="Size">{bytes(image.raw?.size)}</Fact><Fact name="Gzip">{saved(image.gzip)}</Fact><Fact name="Gzip, small window">{saved(image.gzip_4k)}</Fact>
      <Fact name="Flash">{bytes(image.flash_size)}</Fact>
      <Fact name="Signature">{image.manifest ? `sequence ${image.sequence}${image.approved ? ', approved' : ''}` : 'not signed'}</Fact>
    </dl>
    <dl class="facts one"><Fact name="MD5"><span class="mono">{image.raw?.md5 ?? '–'}</span></Fact><Fact name="SHA-256"><span class="mono">{image.raw?.sha256 ?? '–'}</span></Fact></dl>
  </Panel>;
}

export function ReleasePage({ id }: { id: string }) {
  const release = useLoad<Release>(`releases/${encodeURIComponent(id)}`, onRules);
  const rollouts = useLoad<{ rollouts: Rollout[] }>('rollouts', onRules);
  const one = release.data;
  const filter = one ? `product = ${quoted(one.product ?? '')} and version = ${quoted(one.version ?? '')}` : '';
  const runs = useLoad<Counts>(one ? `device-counts${query({ by: 'chip', filter })}` : null, undefined, 5000);
  const rollout = (rollouts.data?.rollouts ?? []).filter((item) => item.release === one?.id).pop();
  const require = () => act(one!.required ? 'It may be skipped.' : 'Every device passes through it.', () => api(`releases/${id}`, { method: 'PATCH', body: { required: !one!.required } }),
    () => api(`releases/${id}`, { method: 'PATCH', body: { required: one!.required } }).then(release.reload)).then(release.reload);
  const back = { href: to('releases'), text: 'Releases' };
  if (release.status === 404) return <Screen title="No such release" back={back}><Panel><Empty title="There is no such release" icon="box" /></Panel></Screen>;
  return <Screen title={one ? `${one.product} ${one.version}` : 'Release'} back={back}
    sub={one && <span class="badges"><span>code {one.code} · {one.channel} · published <Ago ms={one.created_ms} /></span><Marks one={one} /></span>}
    actions={one && <>
      {!rollout && !one.yanked && <LinkButton need="operate" of={one.product} kind="main" icon="steps" href={to('rollouts/new', { release: String(one.id) })}>Roll out</LinkButton>}
      {rollout && <LinkButton kind="main" icon="steps" href={to(`rollouts/${rollout.id}`)}>Its rollout</LinkButton>}
      {mayChange(one) && <><Button onClick={() => void require()}>{one.required ? 'Let devices skip it' : 'Make must-pass-through'}</Button>
      <Button kind={one.yanked ? 'plain' : 'bad'} onClick={() => void yank(one, release.reload)()}>{one.yanked ? 'Offer again' : 'Yank'}</Button></>}
    </>}>
    <Load of={release} lines={6}>{(data) => <div class="stack">
      <div class="figures"><a href={devices(filter)}><b>{runs.data ? count(runs.data.total) : '–'}</b><span>devices run it</span></a>
        <div><b>{data.images.length}</b><span>{data.images.length === 1 ? 'image' : 'images'}</span></div>
        <div><b>{bytes(data.images.reduce((sum, image) => sum + (image.raw?.size ?? 0), 0))}</b><span>in all</span></div></div>
      {data.images.map((image) => <ImageFacts key={`${image.chip} ${image.component} ${image.variant}`} image={image} />)}
    </div>}</Load>
  </Screen>;
}

// ---- publishing ----

interface Chosen { file: File; facts: FileFacts | null; problem: string | null }

function FactsPanel({ chosen }: { chosen: Chosen }) {
  const { facts, file } = chosen;
  if (chosen.problem) return <p class="note bad" role="alert"><Icon name="fail" /> {file.name}: {chosen.problem}</p>;
  if (!facts) return <p class="note" role="status">Reading {file.name} …</p>;
  const image = facts.image;
  return <Panel title={file.name} actions={facts.publishable ? <Badge tone="good">passed every check</Badge> : <Badge tone="bad">refused</Badge>}>
    {facts.reason && <p class="note bad" role="alert"><b>{facts.reason.sentence}</b></p>}
    <dl class="facts">
      <Fact name="Kind">{facts.kind}{facts.content && ` of ${facts.content.kind}`}</Fact><Fact name="Size">{bytes(facts.size)}</Fact>
      {image && <>
        <Fact name="Chip">{image.chip ?? 'not known'}</Fact><Fact name="Flash">{bytes(image.flash_size)}</Fact>
        <Fact name="Version in it">{facts.tag?.version ?? image.version ?? '–'}{facts.tag?.code && <span class="dim"> code {facts.tag.code}</span>}</Fact><Fact name="Project">{facts.tag?.product ?? image.project ?? '–'}</Fact>
        {image.idf_version && <Fact name="ESP-IDF">{image.idf_version}</Fact>}
        {image.build_date && <Fact name="Built">{image.build_date} {image.build_time}</Fact>}
        <Fact name="Confirms itself">{facts.tag?.confirms ? 'yes' : 'not known'}</Fact>
      </>}
      <Fact name="MD5"><span class="mono">{facts.md5}</span></Fact>
    </dl>
  </Panel>;
}

function PublishForm({ chosen, products, preset, done }: { chosen: Chosen; products: Product[]; preset: string | null; done: (published: Published) => void }) {
  const facts = chosen.facts!;
  const [product, setProduct] = useState(preset ?? facts.tag?.product ?? (products.length === 1 ? products[0]!.name : ''));
  const inFile = facts.tag?.version ?? facts.image?.version ?? '';
  const [version, setVersion] = useState(inFile);
  const [channel, setChannel] = useState('stable');
  const [variant, setVariant] = useState('');
  const [adopt, setAdopt] = useState(products.length === 0);
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<{ words: string; reason: string } | null>(null);
  const publish = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setRefusal(null);
    try {
      // what the file says of itself stands, its version code too; a version written here makes another code
      const params = { product: product.trim(), version: version.trim() === inFile ? null : version.trim(), channel: channel.trim(), variant: variant.trim(), adopt: adopt ? 'true' : null };
      done(await api<Published>(`releases${query(params)}`, { file: chosen.file }));
    } catch (error) {
      setRefusal({ words: text(error), reason: error instanceof ApiError ? error.reason : '' });
    }
    setBusy(false);
  };
  return <Panel title="Publish it as">
    <form class="form" onSubmit={(event) => void publish(event)}>
      <div class="pair">
        <Field label="Product" hint="a new name makes a new product"><input type="text" required list="products" value={product} onInput={(event) => setProduct(event.currentTarget.value)} /></Field>
        <Field label="Version" hint={inFile ? 'as the file says' : 'a number, or x.y.z'}><input type="text" value={version} onInput={(event) => setVersion(event.currentTarget.value)} /></Field>
      </div>
      <datalist id="products">{products.map((one) => <option key={one.name} value={one.name} />)}</datalist>
      <div class="pair">
        <Field label="Channel"><input type="text" value={channel} onInput={(event) => setChannel(event.currentTarget.value)} /></Field>
        <Field label="Only for the layout" hint="4M2M, 4M, rev3; empty: every one"><input type="text" value={variant} onInput={(event) => setVariant(event.currentTarget.value)} /></Field>
      </div>
      <label class="switch"><input type="checkbox" checked={adopt} onChange={(event) => setAdopt(event.currentTarget.checked)} />
        <span>Unknown devices of this chip get this product<small>Without it a new device waits in the enrolment queue.</small></span></label>
      {refusal && <p class="note bad" role="alert">{refusal.words} <span class="dim mono">{refusal.reason}</span></p>}
      <div><Button kind="main" icon="up" type="submit" busy={busy} disabled={!product.trim()}>Publish</Button></div>
    </form>
  </Panel>;
}

function useInspect(): [Chosen | null, (file: File | null) => void] {
  const [chosen, setChosen] = useState<Chosen | null>(null);
  const choose = (file: File | null) => {
    if (!file) { setChosen(null); return; }
    if (file.size > FILE_MAX) { setChosen({ file, facts: null, problem: `It has ${bytes(file.size)}; at most ${bytes(FILE_MAX)} are taken.` }); return; }
    if (file.size === 0) { setChosen({ file, facts: null, problem: 'It is empty.' }); return; }
    setChosen({ file, facts: null, problem: null });
    api<FileFacts>('inspect', { file }).then((facts) => setChosen({ file, facts, problem: null }), (error: unknown) => setChosen({ file, facts: null, problem: text(error) }));
  };
  return [chosen, choose];
}

export function Drop({ choose }: { choose: (file: File) => void }) {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const take = (files: FileList | null | undefined) => { const file = files?.[0]; if (file) choose(file); };
  useEffect(() => {
    const stop = (event: DragEvent) => event.preventDefault(); // a file that misses the box must not open instead
    window.addEventListener('dragover', stop);
    window.addEventListener('drop', stop);
    return () => { window.removeEventListener('dragover', stop); window.removeEventListener('drop', stop); };
  }, []);
  return <div class={`drop ${over ? 'over' : ''}`} onDragOver={() => setOver(true)} onDragLeave={() => setOver(false)}
    onDrop={(event) => { event.preventDefault(); setOver(false); take(event.dataTransfer?.files); }}>
    <Icon name="up" />
    <p>Drop a firmware or file-system image here</p>
    <Button onClick={() => input.current?.click()}>Choose a file</Button>
    <input ref={input} type="file" class="visually-hidden" tabIndex={-1} aria-label="Firmware file" onChange={(event) => { take(event.currentTarget.files); event.currentTarget.value = ''; }} />
    <p class="dim">It is checked before anything is stored.</p>
  </div>;
}

function Done({ published, reason, again }: { published: Published; reason: Reason | null; again: () => void }) {
  return <Panel>
    <div class="empty" role="status"><Icon name="ok" /><strong>{published.product} {published.version} is published</strong>
      <p>{published.next}</p>
      {published.warnings.map((words) => <p class="note warn" key={words}>{words}</p>)}
      {reason && <p class="dim">{reason.sentence}</p>}
      <div class="actions"><LinkButton kind="main" icon="steps" href={to('rollouts/new', { release: String(published.release) })}>Roll out in phases</LinkButton>
        <LinkButton href={to(`releases/${published.release}`)}>See the release</LinkButton><Button onClick={again}>Publish another</Button></div>
    </div>
  </Panel>;
}

export function Publisher({ preset = null, done }: { preset?: string | null; done?: (published: Published) => void }) {
  const [chosen, choose] = useInspect();
  const [published, setPublished] = useState<Published | null>(null);
  const products = useLoad<{ products: Product[] }>('products', onRules);
  if (published) return <Done published={published} reason={null} again={() => { setPublished(null); choose(null); }} />;
  return <div class="stack">
    <Drop choose={choose} />
    {chosen && <FactsPanel chosen={chosen} />}
    {chosen?.facts?.publishable && !products.data && <Load of={products}>{() => null}</Load>}
    {chosen?.facts?.publishable && products.data && <PublishForm key={`${chosen.file.name} ${chosen.file.lastModified} ${chosen.facts.sha256}`} chosen={chosen} preset={preset} products={products.data.products}
      done={(now) => { setPublished(now); done?.(now); }} />}
  </div>;
}

export function PublishPage() {
  return <Screen title="Publish a release" back={{ href: to('releases'), text: 'Releases' }}
    sub={<>The same on the command line: <code>molt publish FILE --product NAME</code></>}><Publisher /></Screen>;
}

