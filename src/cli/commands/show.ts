/** Commands that only show: status, devices, ps, grants. */
import type { DeviceView, GrantView, Status, TaskView } from '../../../protocols/local/messages.ts'
import { systemClock } from '../../base/clock.ts'
import { sayAbout, sayDuration } from '../../base/duration.ts'
import type { Context } from '../context.ts'
import { clean, plural, sayCommand, shortCid, shortDid, table } from '../render.ts'

export async function status(context: Context): Promise<number> {
  const seen = await context.client.status()
  context.print(seen, () => statusText(context, seen))
  return 0
}

function statusText({ paint }: Context, seen: Status): string {
  const lines = [
    `${seen.healthy ? paint.good('✓') : paint.bad('✗')} ${clean(seen.name)}  ${shortDid(seen.did)}  (${clean(seen.words)})`,
    `  mesh       ${seen.mesh === null ? 'none yet: errand join' : `"${clean(seen.mesh.name)}"  ${seen.mode}`}`,
    `  devices    ${seen.devices.known} known, ${seen.devices.online} online`,
    `  tasks      ${seen.tasks.active} active, ${seen.tasks.total} in all`,
    `  addresses  ${seen.addresses.length === 0 ? 'none: nothing listens on the network' : seen.addresses.map(clean).join('\n             ')}`,
    ...(!seen.api ? [] : [`  API        ${clean(seen.api.url)}${seen.api.tokenFile === null ? '' : `  (token in ${clean(seen.api.tokenFile)})`}`]),
    ...(seen.grpc === undefined ? [] : [`  gRPC       ${clean(seen.grpc)}`]),
    `  node       ${clean(seen.version)}, process ${seen.pid}, up ${sayDuration(seen.uptimeSeconds * 1_000)}`,
    ...(seen.notices ?? []).map((notice) => `  ${paint.bad('!')} ${clean(notice)}`),
    ...seen.problems.map((problem) => `  ${paint.bad('!')} ${clean(problem)}`),
  ]
  return lines.join('\n')
}

export async function devices(context: Context): Promise<number> {
  const seen = await context.client.devices()
  context.print(seen, () => table(['NAME', 'STATE', 'PATH', 'RTT', 'SYSTEM', 'LOAD', 'TRUST', 'LABELS', 'DID'], seen.map(deviceRow)))
  return 0
}

function deviceRow({ name, online, lastSeen, path, rttMs, capabilities, labels, trust, membership, did }: DeviceView): string[] {
  return [
    name,
    online ? 'online' : lastSeen === null ? 'offline' : `offline since ${ago(lastSeen)}`,
    path ?? '-',
    rttMs === null ? '-' : `${rttMs < 10 ? rttMs.toFixed(1) : Math.round(rttMs)} ms`,
    capabilities === null
      ? '-'
      : `${capabilities.os}/${capabilities.arch} ${plural(capabilities.cpus, 'cpu')} ${Math.round(capabilities.memoryBytes / 2 ** 30)} GiB`,
    capabilities === null ? '-' : capabilities.load.toFixed(2),
    membership === 'guest' ? membership : (trust ?? '-'),
    Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(' ') || '-',
    shortDid(did),
  ]
}

export async function ps(context: Context): Promise<number> {
  showTasks(context, await context.client.tasks())
  return 0
}

export function showTasks(context: Context, seen: readonly TaskView[]): void {
  context.print(seen, () => table(['TASK', 'STATE', 'DEVICE', 'STARTED', 'TOOK', 'EXIT', 'COMMAND'], seen.map(taskRow)))
}

function taskRow({ task, state, device, startedAt, endedAt, exitCode, command }: TaskView): string[] {
  const end = endedAt === null ? systemClock.now() : Date.parse(endedAt)
  return [
    task,
    state,
    device.startsWith('did:') ? shortDid(device) : device,
    startedAt === null ? '-' : ago(startedAt),
    startedAt === null ? '-' : sayDuration(end - Date.parse(startedAt)),
    exitCode === null ? '-' : String(exitCode),
    sayCommand(command),
  ]
}

export async function grants(context: Context): Promise<number> {
  const seen = await context.client.grants()
  context.print(seen, () => table(['GRANT', 'FROM', 'TO', 'ON', 'WHAT', 'EXPIRES'], seen.map(grantRow)))
  return 0
}

function grantRow({ cid, issuer, audience, device, can, words, revoked, expiresAt }: GrantView): string[] {
  // The other columns say the rest of the words.
  const what = `${can.join('; ')}${words.endsWith('not to be passed on') ? ', not to be passed on' : ''}`
  const left = expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(expiresAt) - systemClock.now()
  const until = revoked ? 'revoked' : expiresAt === null ? 'never' : left <= 0 ? 'expired' : `in ${sayAbout(left)}`
  return [shortCid(cid), shortDid(issuer), shortDid(audience), device === null ? 'any' : shortDid(device), what, until]
}

function ago(time: string): string {
  return `${sayDuration(systemClock.now() - Date.parse(time))} ago`
}
