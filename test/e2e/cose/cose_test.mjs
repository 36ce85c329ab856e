// cose_test.mjs - what molt signs is COSE (RFC 9052) to a library of another hand, npm's cose-js: the maker's signature and the
// approver's over a manifest, and the root's over a key statement; and that library refuses each with a changed bit.
// usage: node cose_test.mjs path/to/molt path/to/folder-with-node_modules
import assert from 'node:assert'
import { execFileSync } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'

const require = createRequire(path.join(path.resolve(process.argv[3]), 'package.json'))
const cose = require('cose-js')
const cbor = createRequire(require.resolve('cose-js'))('cbor')
const molt = path.resolve(process.argv[2])
let accepted = 0
let refused = 0

const run = (...args) => execFileSync(molt, args, { stdio: ['ignore', 'pipe', 'pipe'] })

function key(name) {
  const jwk = createPublicKey(fs.readFileSync(name + '.pub')).export({ format: 'jwk' })
  return { key: { x: Buffer.from(jwk.x, 'base64url'), y: Buffer.from(jwk.y, 'base64url') } }
}

// A COSE_Sign1 without its payload, with it: what stands in a manifest is detached.
function attach(data, payload) {
  const at = data.indexOf(Buffer.from([0xa0, 0xf6])) + 1
  assert.equal(at, 7)
  return Buffer.concat([data.subarray(0, at), cbor.encode(payload), data.subarray(at + 1)])
}

// Good as it is; with a bit changed, or by another key, it is not.
async function check(data, by, other) {
  const payload = await cose.sign.verify(data, by)
  accepted++
  await assert.rejects(cose.sign.verify(data, other))
  for (let at = 5; at < data.length; at += 7) {
    const changed = Buffer.from(data)
    changed[at] ^= 0x01
    await assert.rejects(async () => cose.sign.verify(changed, by), `byte ${at}`)
    refused++
  }
  return payload
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'molt-cose-'))
try {
  process.chdir(folder)
  for (const name of ['maker', 'approver', 'root']) run('keygen', name, '--no-passphrase')
  run('sim', 'build', 'door.bin', '--chip', 'esp8266', '--code', '7', '--product', 'door', '--size', '60000')
  run('sign', 'door.bin', '--key', 'maker', '--product', 'door')
  run('sign', 'door.suit', '--approve', '--key', 'approver')
  run('key', 'rotate', 'door.keys', '--key', 'root', '--to', 'maker.pub', '--epoch', '1', '--product', 'door', '--chip', 'esp8266')

  const envelope = cbor.decodeFirstSync(fs.readFileSync('door.suit'))
  assert.equal(envelope.tag, 107)
  assert.deepEqual([...envelope.value.keys()], [2, 3])
  const [digest, first, second] = cbor.decodeFirstSync(envelope.value.get(2))
  assert.deepEqual(await check(attach(first, digest), key('maker'), key('approver')), digest)
  assert.deepEqual(await check(attach(second, digest), key('approver'), key('maker')), digest)
  const [epoch, , keys] = cbor.decodeFirstSync(await check(fs.readFileSync('door.keys'), key('root'), key('maker')))
  assert.deepEqual([...epoch], [0, 1])
  assert.deepEqual(keys, Buffer.concat([key('maker').key.x, key('maker').key.y]))
  console.log(`cose_test: ${accepted} signatures accepted, ${refused} changes refused`)
} finally {
  process.chdir('/')
  fs.rmSync(folder, { recursive: true })
}
