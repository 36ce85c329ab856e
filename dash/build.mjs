// build.mjs - bundles src/ into a folder that the server can carry: index.html and assets whose names hold a hash of
// what is in them, and licences.txt, each beside its gzip and Brotli form. Usage: node build.mjs OUT. Must not reach the network.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { licences } from './licences.mjs';

const out = process.argv[2];
if (!out) throw new Error('usage: node build.mjs OUT');
const here = new URL('.', import.meta.url).pathname;

function write(path, bytes) {
  const body = Buffer.from(bytes);
  writeFileSync(join(out, path), body);
  writeFileSync(join(out, path + '.gz'), gzipSync(body, { level: 9 }));
  writeFileSync(join(out, path + '.br'), brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
}

function writeHashed(name, bytes) {
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
  const path = `assets/${basename(name, extname(name))}-${hash}${extname(name)}`;
  write(path, bytes);
  return './' + path;
}

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, 'assets'), { recursive: true });
const result = await build({
  entryPoints: { app: join(here, 'src/main.tsx') },
  bundle: true, minify: true, write: false, outdir: 'out', format: 'esm', target: ['es2021'], absWorkingDir: here, metafile: true,
  // notices are in licences.txt, which is fetched only by who wants it
  jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none', charset: 'utf8', logLevel: 'warning',
});
let html = readFileSync(join(here, 'index.html'), 'utf8');
for (const file of result.outputFiles) {
  const name = basename(file.path);
  html = html.replace(`./${name}`, writeHashed(name, file.contents));
}
html = html.replace('./icon.svg', writeHashed('icon.svg', readFileSync(join(here, 'src/icon.svg'))));
if (/\.\/(app\.|icon\.)/.test(html)) throw new Error('index.html names a file that was not made');
write('index.html', html);
write('licences.txt', licences(result.metafile.inputs, here));
