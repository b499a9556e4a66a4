/**
 * The libraries beside which bench:authority measures the kernel, `node ucan-peers.mjs NAME CACHE` with an IPC channel: each message asks for a
 * round, each answer says what every verification took. The packages come from CACHE. Both get the fastest Ed25519 there is, node:crypto with
 * the keys kept, so that what is compared is the work around it; `iso-ucan-stock` is as it comes from npm.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [name = '', cache = ''] = process.argv.slice(2)
const require = createRequire(join(cache, 'package.json'))
const load = (path) => import(pathToFileURL(join(cache, 'node_modules', path)).href)
const LIFE_SECONDS = 250
const SPKI = Buffer.from('302a300506032b6570032100', 'hex') // RFC 8410
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

const nowSeconds = () => Math.floor(Date.now() / 1_000)

/** Verifies by node:crypto; a key is imported once for each memory. */
function rememberingVerifier() {
  const keys = new Map()
  return (id, raw, message, signature) => {
    let key = keys.get(id)
    if (key === undefined) {
      key = createPublicKey({ key: Buffer.concat([SPKI, raw()]), format: 'der', type: 'spki' })
      keys.set(id, key)
    }
    return verify(null, message, key, signature)
  }
}

/** UCAN 0.8: one JWT that holds its proofs, nested; the outermost stands for the invocation. It has no policies, no invocations, no memory of used tokens. */
async function ucansCore() {
  const core = require(join(cache, 'node_modules', '@ucans', 'core', 'dist', 'cjs', 'index.js'))
  const { base58btc } = await load('multiformats/dist/src/bases/base58.js')
  const prefix = Uint8Array.of(0xed, 0x01)
  const keypair = () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI.length)
    const did = `did:key:${base58btc.encode(Buffer.concat([prefix, raw]))}`
    return { did: () => did, jwtAlg: 'EdDSA', sign: async (bytes) => new Uint8Array(sign(null, bytes, privateKey)) }
  }
  const apiOf = () => {
    const check = rememberingVerifier()
    const rawOf = (did) => () => base58btc.decode(did.slice('did:key:'.length)).subarray(2)
    const verifySignature = async (did, data, signature) => check(did, rawOf(did), data, signature)
    return core.getPluginInjectedApi(new core.Plugins([{ prefix, jwtAlg: 'EdDSA', verifySignature }], {}))
  }
  const maker = apiOf()
  const capabilityOn = (device) => ({ with: { scheme: 'errand', hierPart: device }, can: { namespace: 'exec', segments: ['run'] } })
  const token = async (issuer, audience, capability, proofs) =>
    core.encode(await maker.build({ issuer, audience, capabilities: [capability], lifetimeInSeconds: LIFE_SECONDS, proofs, addNonce: true }))
  const chain = async (depth) => {
    const keys = Array.from({ length: depth + 1 }, keypair)
    const device = keys[0].did()
    const capability = capabilityOn(device)
    let proof = await token(keys[0], keys[1].did(), capability, [])
    for (let at = 1; at < depth; at++) proof = await token(keys[at], keys[at + 1].did(), capability, [proof])
    return { device, capability, invoke: () => token(keys[depth], device, capability, [proof]) }
  }
  const judge = async (api, { device, capability }, jwt) => {
    const seen = await api.verify(jwt, { audience: device, requiredCapabilities: [{ capability, rootIssuer: device }] })
    if (!seen.ok) throw new Error(`@ucans/core says no: ${seen.error.map(String).join('; ')}`)
  }
  return { apiOf, chain, judge }
}

/** UCAN 1.0 (a release candidate): policies as ours, proofs found by their CID. It has no memory of used invocations. */
async function isoUcan({ stock }) {
  const { Delegation } = await load('iso-ucan/src/delegation.js')
  const { Invocation } = await load('iso-ucan/src/invocation.js')
  const { EdDSASigner } = await load('iso-signatures/src/signers/eddsa.js')
  const { verifier } = await load('iso-signatures/src/verifiers/eddsa.js')
  const { Resolver } = await load('iso-signatures/src/verifiers/resolver.js')
  const { DIDKey } = await load('iso-did/src/key.js')
  const registry = () => {
    if (stock) return verifier
    const check = rememberingVerifier()
    return { Ed25519: async ({ signature, message, did }) => check(did.did, () => did.verifiableDid.publicKey, message, signature) }
  }
  /** What the library offers to those who see a proof again: signatures that were checked, and delegations that were read. */
  const apiOf = () => ({ resolver: new Resolver(registry(), { cache: true }), read: new Map() })
  const maker = apiOf()
  const signer = async () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    const seed = new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(PKCS8.length))
    const raw = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI.length))
    const made = new EdDSASigner(DIDKey.fromPublicKey('Ed25519', raw), seed)
    const key = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })
    made.sign = async (message) => new Uint8Array(sign(null, message, key)) // not what is measured
    return made
  }
  const chain = async (depth, { cmd, pol, args }) => {
    const keys = await Promise.all(Array.from({ length: depth + 1 }, signer))
    const [device] = keys
    const exp = nowSeconds() + LIFE_SECONDS
    const links = []
    for (let at = 0; at < depth; at++) links.push(await Delegation.create({ iss: keys[at], aud: keys[at + 1].did, sub: device.did, cmd, pol, exp }))
    const sent = new Map(links.map((link) => [link.cid.toString(), link.toString()]))
    const invoke = async () => {
      const options = { iss: keys[depth], sub: device.did, aud: device.did, cmd, args, prf: links, exp, verifierResolver: maker.resolver }
      return (await Invocation.create(options)).bytes
    }
    return { device, sent, invoke }
  }
  const judge = async ({ resolver, read }, { device, sent }, bytes) => {
    const resolveProof = async (cid) => {
      const id = cid.toString()
      if (!read.has(id)) read.set(id, await Delegation.fromString(sent.get(id)))
      return read.get(id)
    }
    await Invocation.from({ bytes, audience: device, verifierResolver: resolver, resolveProof })
  }
  return { apiOf, chain, judge }
}

async function taken(act) {
  const before = performance.now()
  await act()
  return performance.now() - before
}

async function round({ apiOf, chain, judge }, { mode, depth, count, shape }) {
  const ms = []
  const kept = mode === 'warm' ? { api: apiOf(), made: await chain(depth, shape) } : undefined
  if (kept !== undefined) await judge(kept.api, kept.made, await kept.made.invoke())
  for (let n = 0; n < count; n++) {
    const { api, made } = kept ?? { api: apiOf(), made: await chain(depth, shape) }
    const token = await made.invoke()
    ms.push(await taken(() => judge(api, made, token)))
  }
  return ms
}

const library = name === 'ucans-core' ? await ucansCore() : await isoUcan({ stock: name === 'iso-ucan-stock' })
process.on('message', (asked) => {
  round(library, asked).then(
    (ms) => process.send({ t: 'took', ms }),
    (thrown) => process.send({ t: 'failed', why: String(thrown?.stack ?? thrown) }),
  )
})
process.once('disconnect', () => process.exit(0))
process.send({ t: 'ready' })
