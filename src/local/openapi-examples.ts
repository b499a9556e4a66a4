/** One example of each thing that the description of the API names. A test reads every one of them with its schema. */

const LAPTOP = 'did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH'
const GPU1 = 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK'
const TASK = '019aa3c1-0000-7000-8000-000000000001'
const JWT = 'eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsInVjdiI6IjAuOC4xIn0.eyJpc3MiOiJkaWQ6a2V5On….…'
const GRANT = 'bafyreib3vx7c6ewkwwbxy2ta6yy3bq7a3v2v6s3p4yd3tp3ulqhshz5pq7'
const AT = '2026-11-21T09:30:00.000Z'
const LATER = '2026-11-21T17:30:00.000Z'
const MESH = { id: '9f'.repeat(32), name: 'home' }
const RIGHT = { can: 'exec: nvidia-smi, npm test', words: 'run nvidia-smi, npm test', device: 'gpu1', expiresAt: LATER }
const CODE = 'errand14Qm7cRzV9n2p8aF…'
const INVITE = 'did:key:z6MknGc3ocHs3zdPiJbnaaqDi58NGb4pk1Sp9WxWufuXSdxf'

const task = {
  task: TASK,
  state: 'RUNNING',
  device: 'gpu1',
  command: ['npm', 'test'],
  submittedBy: LAPTOP,
  createdAt: AT,
  startedAt: AT,
  endedAt: null,
  exitCode: null,
  signal: null,
  why: 'started',
  message: null,
  attempts: 1,
  detached: true,
  progress: { percent: 40, text: '12 of 30 files' },
  place: null,
  stdoutBytes: 5_120,
  stderrBytes: 0,
  receipt: null,
  description: 'the nightly tests',
  metadata: { branch: 'main' },
}

const record = {
  device: GPU1,
  deviceName: 'gpu1',
  n: 41,
  time: AT,
  actor: LAPTOP,
  actorName: 'laptop',
  subjectName: null,
  action: 'exec.start',
  subject: null,
  task: TASK,
  session: null,
  grant: GRANT,
  result: 'allowed',
  command: ['npm', 'test'],
}

const session = {
  ...{ session: '019aa3c1-0000-7000-8000-00000000005e', name: 'nightly', state: 'OPEN', openedAt: AT, expiresAt: LATER, idleMs: 3_600_000 },
  ...{ lastUsedAt: AT, endsAt: LATER, endedAt: null, why: null, can: [{ device: 'gpu1', words: RIGHT.can }], env: ['CI'], tasks: { active: 1, total: 3 } },
}

const grant = { cid: GRANT, issuer: GPU1, audience: LAPTOP, device: GPU1, can: [RIGHT.can], words: RIGHT.words, expiresAt: LATER, revoked: false, parents: [] }

const offer = {
  ...{ mesh: MESH, inviter: { name: 'laptop', did: LAPTOP, words: 'otter-lamp-fjord' }, membership: 'member', name: 'gpu1', give: [RIGHT], get: [] },
  ...{ check: 'meadow · drum · 41', expiresAt: LATER },
}

export const EXAMPLES: Readonly<Record<string, unknown>> = {
  Error: {
    error: {
      code: 'DENIED',
      message: 'exe "rm" is not in {nvidia-smi, npm}  (grant bafyre…hz5pq7, expires in 7h58m)',
      hint: "gpu1 itself, or whoever has that right there, can allow it: errand grant laptop --on gpu1 --can 'exec: rm' --for 1h",
      source: 'device',
      fields: { reason: 'POLICY', grant: GRANT },
    },
  },
  Status: {
    ...{ ready: true, apiVersion: 1, did: LAPTOP, peerId: '12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8', name: 'laptop', words: 'otter-lamp-fjord' },
    ...{ version: '0.1.0', mesh: MESH, pid: 4_711, uptimeSeconds: 86_400, addresses: ['/ip4/192.168.1.7/tcp/4701'], devices: { known: 3, online: 2 } },
    ...{ tasks: { active: 1, total: 12 }, api: null, preset: 'lan', mode: 'distributed-cluster', healthy: true, problems: [] },
  },
  DeviceView: {
    ...{ name: 'gpu1', did: GPU1, peerId: '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN', online: true, path: 'direct', rttMs: 9, lastSeen: AT },
    ...{ labels: { gpu: 'h200' }, addresses: ['/ip4/192.168.1.9/tcp/4701'] },
    capabilities: { os: 'linux', arch: 'x64', cpus: 64, memoryBytes: 274_877_906_944, load: 1.25, version: '0.1.0', freeSlots: 255 },
  },
  OfferedView: { id: 'reviewer', device: 'gpu1', online: true, description: 'reads a change and says what is wrong with it' },
  InviteView: { id: INVITE, code: CODE, shortCode: '7-velvet-canoe-piano-fossil', expiresAt: LATER, membership: 'member', asks: [RIGHT], gives: [], notes: [] },
  OfferView: offer,
  PairView: { code: CODE, via: ['/ip4/192.168.1.7/tcp/4701'], check: 'meadow · drum · 41', offer },
  InviteProgressView: {
    ...{ id: INVITE, seq: 2, state: 'asking', device: { did: GPU1, name: 'gpu1', words: 'canal-brick-moon' } },
    ...{ check: 'meadow · drum · 41', why: null, expiresAt: LATER },
  },
  JoinView: { mesh: MESH, did: GPU1, name: 'gpu1', membership: 'member', gave: [RIGHT], got: [] },
  GrantView: grant,
  ImportView: { holder: 'laptop', gives: ['laptop may exec: npm test … on gpu1, for 8h'], expiresAt: LATER, grants: [] },
  ExportView: {
    ...{ jwt: JWT, issuer: GPU1, audience: LAPTOP, capability: { with: `errand:${GPU1}/exec%3A%20npm%20test%20%E2%80%A6`, can: 'exec/run' } },
    ...{ words: RIGHT.words, expiresAt: LATER },
  },
  RevokeView: {
    grants: [GRANT],
    stopped: [TASK],
    acknowledged: ['gpu1'],
    acks: [{ device: 'gpu1', ms: 300 }],
    unreachable: [{ device: 'jetson', expiresAt: LATER }],
  },
  WhyView: {
    ...{ allowed: false, device: 'gpu1', next: "ask for it: errand grant laptop --on gpu1 --can 'exec: rm' --for 1h" },
    steps: [
      { step: 'discovery', ok: true, detail: 'record 3m old, 2 addresses' },
      { step: 'dial', ok: true, detail: 'direct, 9 ms' },
      {
        step: 'authority',
        ok: false,
        detail: 'exe "rm" is not in {nvidia-smi, npm}',
        paths: [{ grants: [GRANT], ok: false, detail: 'exe "rm" is not in {nvidia-smi, npm}' }],
      },
    ],
  },
  WhyRequest: { device: 'gpu1', command: ['rm', '-rf', '/'] },
  SessionView: session,
  SessionOpened: { ...session, token: `errs_${'x'.repeat(43)}` },
  SessionClosed: { session: session.session, stopped: [TASK], acknowledged: ['gpu1'], unreachable: [{ device: 'jetson', expiresAt: LATER }] },
  SessionRequest: { on: ['gpu1'], can: [RIGHT.can], forMs: 28_800_000, idleMs: 3_600_000, env: { CI: '1' }, name: 'nightly' },
  TaskView: task,
  TaskUpdate: {
    ...{ t: 'changed', cursor: 1_042, event: { t: 'ended', to: 'COMPLETED', why: 'exit' } },
    task: { ...task, state: 'COMPLETED', endedAt: LATER, exitCode: 0, why: 'exit', progress: null },
  },
  AuditRecordView: record,
  AuditVerifyView: {
    ok: true,
    logs: [{ device: GPU1, name: 'gpu1', entries: 1_204, gaps: 0, head: 'c0'.repeat(32), witnesses: 2, forks: 0, behind: 0 }],
    problems: [],
  },
  ListenView: { addresses: ['/ip4/192.168.1.7/tcp/4701'] },
  DownView: { stopping: true, active: 1, detached: 1, waitsMs: 10_000 },
  ExecRequest: { device: 'gpu1', command: ['npm', 'test'], cwd: '/srv/app', env: { CI: '1' }, timeoutMs: 600_000, id: TASK, description: 'the nightly tests' },
  AttachRequest: { task: TASK, from: 0, follow: true },
  GrantRequest: { who: 'laptop', on: 'gpu1', can: [RIGHT.can], forMs: 28_800_000, passOn: false },
  ImportGrantRequest: { token: JWT, agreed: true },
  ExportGrantRequest: { grant: GRANT, format: 'jwt' },
  RevokeRequest: { on: 'gpu1', to: 'laptop' },
  InviteRequest: { name: 'gpu1', ask: [RIGHT.can], forMs: 28_800_000, short: true, approve: true },
  InviteAnswer: { allow: true },
  PairRequest: { code: '7 velvet canoe piano fossil' },
  JoinRequest: { code: CODE, name: 'gpu1' },
  ListenRequest: { preset: 'lan' },
  DownRequest: { drainMs: 30_000 },
}

const lines = `${JSON.stringify(record)}\n`

/** What a stream looks like on the wire, where the schema says only what one item is. */
export const ATTACHED: Readonly<Record<string, { readonly example: string }>> = {
  '/api/runtime/events': { example: `event: changed\nid: 1042\ndata: ${JSON.stringify(EXAMPLES['TaskUpdate'])}\n\n` },
  '/api/audit/events': { example: lines },
  '/api/audit/users/{user}/activity': { example: lines },
  '/api/audit/sessions/{session}/activity': { example: lines },
}
