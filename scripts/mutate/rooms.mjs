/** Which files hold guards, and which tests have to notice: quick ones first, the others only for who survives them. New files are found by the patterns. */
const unit = (...names) => names.map((name) => `test/unit/${name}`)
const TOKENS = unit(
  'authority/verify.test.ts',
  'authority/chain.test.ts',
  'authority/token.test.ts',
  'authority/vectors.test.ts',
  'authority/revocations.test.ts',
)

/** @type {readonly { room: string, files: RegExp, quick: readonly string[], all: readonly string[] }[]} */
export const ROOMS = [
  { room: 'kernel', files: /^src\/authority\/(verify|chain|token|revocations|seen)\.ts$/, quick: TOKENS, all: unit('authority/') },
  {
    room: 'policy',
    files: /^src\/authority\/(policy|selector|glob|commands)\.ts$/,
    quick: unit('authority/policy.test.ts', 'authority/commands.test.ts', 'authority/vectors.test.ts', 'authority/chain.test.ts', 'authority/glob.test.ts'),
    all: unit('authority/'),
  },
  {
    room: 'wallet',
    files: /^src\/authority\/wallet\.ts$/,
    quick: unit('authority/wallet.test.ts'),
    all: unit('authority/', 'runtime/keyring', 'runtime/rights-desk'),
  },
  { room: 'keys', files: /^src\/identity\/(identity|envelope)\.ts$/, quick: unit('identity/'), all: unit('identity/', 'protocols/', 'authority/vectors') },
  {
    room: 'bridge',
    files: /^src\/(authority\/ucan08(-rights|-judge)?|runtime\/bridge-desk)\.ts$/,
    quick: unit('authority/ucan08.test.ts', 'runtime/bridge'),
    all: unit('authority/ucan08.test.ts', 'runtime/bridge'),
  },
  {
    room: 'gate',
    files: /^src\/runtime\/(exec-admission|exec-start|exec-door|task-gate|checks|[a-z-]+-check)\.ts$/,
    quick: unit('runtime/exec-', 'runtime/task-gate', 'runtime/waiting-list', 'runtime/rates', 'runtime/steering'),
    all: unit('runtime/'),
  },
  { room: 'hello', files: /^src\/mesh\/(links|company)\.ts$/, quick: unit('mesh/hello'), all: unit('mesh/') },
  {
    room: 'join',
    files: /^src\/runtime\/(invites|joining|invite-code|offers|admitting|guest-offer|guest-request)\.ts$/,
    quick: unit('runtime/invites', 'runtime/offers', 'runtime/guest-request', 'protocols/vectors'),
    all: unit('runtime/', 'protocols/'),
  },
  {
    room: 'members',
    files: /^src\/(runtime\/(records|guest-view)|registry\/[a-z-]+)\.ts$/,
    quick: unit('runtime/records', 'runtime/guest-view', 'registry/'),
    all: unit('runtime/', 'registry/', 'node/'),
  },
  {
    room: 'exec-host',
    files: /^src\/exec\/(host|warrant|conversation)\.ts$/,
    quick: unit('exec/left.test.ts', 'exec/host.test.ts', 'exec/private.test.ts', 'exec/rules.test.ts'),
    all: unit('exec/'),
  },
]
