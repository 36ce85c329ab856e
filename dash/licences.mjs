// licences.mjs - the notices of what the bundle contains, as their licences ask: one text, made of the licence files in node_modules. Must
// not let a bundle be made of a package whose notice is not there. Test: test/dash/licences_test.sh.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const HEAD = `The dashboard of molt contains the work of others. What they ask to be kept with it, word for word:\n`;

/** Folders of the packages that the files of esbuild's metafile are from, each once, sorted. */
function packages(inputs) {
  const folder = /^(.*\bnode_modules\/(?:@[^/]+\/)?[^/]+)\//;
  return [...new Set(Object.keys(inputs).map((path) => folder.exec(path)?.[1]).filter(Boolean))].sort();
}

/** The text; throws for a package without a licence file, or with one that names nobody. */
export function licences(inputs, here) {
  return HEAD + packages(inputs).map((path) => {
    const { name, version, license } = JSON.parse(readFileSync(join(here, path, 'package.json'), 'utf8'));
    const files = readdirSync(join(here, path)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file)).sort();
    const text = files.map((file) => readFileSync(join(here, path, file), 'utf8').trim()).join('\n\n');
    if (!/copyright/i.test(text)) throw new Error(`${name} ${version} brings no licence file that names its authors: it cannot be in the dashboard`);
    return `\n== ${name} ${version} (${license})\n\n${text}\n`;
  }).join('');
}
