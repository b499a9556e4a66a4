/** What several settings mean together: `mode` beside `preset` and `listen`, and what the HTTP API demands. Pure. */
import { isLoopback } from './addresses.ts'
import type { SettingName, Settings } from './config-schema.ts'

export type Mode = NonNullable<Settings['mode']>
export type Preset = Settings['preset']

/** How strong the word is that gave a value: 0 nobody's, 1 the file's, 2 the environment's, 3 the command line's. */
export type Rank = (name: SettingName) => number

const PRESET_OF = { 'local-only': 'local', 'remote-enabled': 'lan', 'distributed-cluster': 'lan' } as const satisfies Record<Mode, Preset>

/** One word for whom the node is reachable for, from three settings: the strongest of them decides, and the others follow. */
export function reach(settings: Settings, rank: Rank): { mode: Mode; preset: Preset } {
  const { mode, preset } = settings
  if (mode === undefined || !decides('mode', rank)) return { mode: modeOf(settings), preset }
  return { mode, preset: rank('preset') > 0 ? preset : PRESET_OF[mode] }
}

export function modeOf({ preset, 'transport.listen': listen }: Pick<Settings, 'preset' | 'transport.listen'>): Mode {
  const isLocal = listen.length > 0 ? listen.every(isLoopback) : preset === 'local'
  return isLocal ? 'local-only' : 'remote-enabled'
}

/** A mode of the file does not hold against a preset or an address of the command line. */
function decides(name: 'mode', rank: Rank): boolean {
  return rank(name) > 0 && rank(name) >= Math.max(rank('preset'), rank('transport.listen'))
}

export interface Contradiction {
  /** The settings that do not go together; the first is the one to change. */
  readonly names: readonly [SettingName, ...SettingName[]]
  readonly why: string
}

/** @returns the first of them. */
export function contradiction(settings: Settings, rank: Rank): Contradiction | undefined {
  return modeContradiction(settings, rank) ?? apiContradiction(settings)
}

/** Less open than the mode allows is no contradiction: a cluster may live on one machine. */
function modeContradiction(settings: Settings, rank: Rank): Contradiction | undefined {
  const { mode, preset, 'transport.listen': listen, 'transport.api.listen': api } = settings
  if (mode === undefined || !decides('mode', rank)) return undefined
  const isLocal = mode === 'local-only'
  if (listen.length === 0 && rank('preset') > 0 && isLocal !== (preset === 'local')) {
    return { names: ['preset', 'mode'], why: `mode ${mode} does not go with preset ${preset}; one of them will do` }
  }
  const outside = listen.find((address) => !isLoopback(address))
  if (isLocal && outside !== undefined) return { names: ['transport.listen', 'mode'], why: `mode local-only does not go with listening on ${outside}` }
  if (isLocal && api !== undefined && !isLoopbackHost(api.host) && rank('mode') >= rank('transport.api.listen')) {
    return { names: ['transport.api.listen', 'mode'], why: `mode local-only does not go with an API on ${api.host}` }
  }
  return undefined
}

function apiContradiction(settings: Settings): Contradiction | undefined {
  const { 'transport.api.listen': api, 'transport.api.tls.cert': cert, 'transport.api.tls.key': key } = settings
  if (api !== undefined && !settings['security.requireAuth'] && !isLoopbackHost(api.host)) {
    return {
      names: ['security.requireAuth', 'transport.api.listen'],
      why: `security.requireAuth can be false on loopback only, and the API listens on ${api.host}`,
    }
  }
  if ((cert === undefined) !== (key === undefined)) {
    const [has, lacks] = cert === undefined ? (['key', 'cert'] as const) : (['cert', 'key'] as const)
    return { names: [`transport.api.tls.${has}`, `transport.api.tls.${lacks}`], why: `transport.api.tls.${has} needs transport.api.tls.${lacks}` }
  }
  if (settings['transport.api.tls.clientCa'] !== undefined && cert === undefined) {
    return { names: ['transport.api.tls.clientCa', 'transport.api.tls.cert'], why: 'transport.api.tls.clientCa needs transport.api.tls.cert and key' }
  }
  return undefined
}

/** What goes from a file in which one setting was changed, so that the last word counts. @param file its values, as they stand there. */
export function companions(changed: SettingName, file: Readonly<Record<string, unknown>>): readonly SettingName[] {
  const { mode, preset } = file
  if (mode === undefined || preset === undefined || (mode === 'local-only') === (preset === 'local')) return []
  if (changed === 'mode') return ['preset']
  return changed === 'preset' ? ['mode'] : []
}

/** True for a host of HOST:PORT that only this machine can reach. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}
