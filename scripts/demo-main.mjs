/**
 * The main job, for real and in front of you: three nodes as three processes on loopback, an invitation, a delegated command, a refusal, a
 * revocation, and the log that every device keeps. Every line of output is the program's own; every expectation is checked, and the first
 * that fails ends the show with exit code 1. Whatever happens, nothing is left running and nothing is left behind.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DemoFailed, Stage } from './demo/stage.mjs'
import { processesOf, sweep } from './demo/sweep.mjs'

const TRAIN = `#!/bin/sh
# Stands in for work that takes a while. Two unusual epochs, then trouble: exit code 3.
for epoch in $(seq 1 "$2"); do
  echo "epoch $epoch/$2  loss 0.$((90 / (epoch + 1)))"
  sleep 0.3
done
echo "train: no space left for the checkpoint" >&2
exit 3
`

const root = mkdtempSync(join(tmpdir(), 'errand-demo-'))
const stage = new Stage(root)
let ending

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
]) {
  process.on(signal, () => {
    if (ending !== undefined) return
    stage.note(`\n${signal}: stopping what was started …`)
    void end().then(() => process.exit(code))
  })
}

try {
  await show()
  await leaveNothing()
  stage.note(`\n✓ That was errand: ${stage.checks} things checked, in ${stage.seconds()} s. Nothing runs any more and nothing was left behind.`)
} catch (thrown) {
  if (ending !== undefined) await new Promise(() => {}) // a signal ended the show; its handler leaves
  process.stderr.write(`\n✗ The demo failed: ${thrown instanceof DemoFailed ? thrown.message : thrown.stack}\n${stage.logs()}`)
  process.exitCode = 1
} finally {
  await end()
}

/** Ends every process of the demo, by force if need be, and removes its directory. Safe to call again. */
function end() {
  ending ??= sweep(root).then(() => rmSync(root, { recursive: true, force: true }))
  return ending
}

async function show() {
  const [laptop, gpu1, nas] = ['laptop', 'gpu1', 'nas'].map((name) => stage.device(name))
  for (const { home } of [laptop, gpu1, nas]) {
    mkdirSync(home, { mode: 0o700 })
    writeFileSync(join(home, 'runtime.yaml'), 'transport: {mdns: false} # so that the demo neither finds nor disturbs your own devices\n', { mode: 0o600 })
  }
  installTrain(gpu1)
  await found(laptop)
  await admit(laptop, gpu1, nas)
  await delegate(laptop, nas)
  await refuse(laptop, nas)
  await revoke(laptop, nas)
  await audit(laptop, nas, gpu1)
}

/** A program that only gpu1 has: its output proves where it ran. */
function installTrain({ home }) {
  const bin = join(home, 'bin')
  mkdirSync(bin, { mode: 0o700 })
  writeFileSync(join(bin, 'train'), TRAIN, { mode: 0o700 })
  writeFileSync(join(home, 'runtime.yaml'), `transport: {mdns: false}\nexec: {path: [${JSON.stringify(bin)}]}\n`, { mode: 0o600 })
}

async function found(laptop) {
  stage.title(
    'A first device',
    'Three devices will play: laptop, gpu1 and nas. Each is a process of its own with a home of its own;',
    'they share this machine and talk over loopback, encrypted, as they would over a network.',
  )
  const up = await laptop.errand('up', '--name', 'laptop', '--detach')
  stage.expect(up, 0, /✓ identity {2}did:key:z6Mk/, /local only/)
}

async function admit(laptop, gpu1, nas) {
  stage.title('Two more join', 'gpu1 belongs to somebody else: it is asked to allow two commands, for eight hours, and nothing more.')
  const asked = await laptop.errand('invite', '--name', 'gpu1', '--ask', 'exec: train, hostname', '--for', '8h')
  stage.expect(asked, 0, /once, within/, /it gives: +exec: train/)
  stage.note('On gpu1. Three separate things are shown before anybody agrees: what it becomes, gives and gets.')
  const joined = await gpu1.errand('join', stage.codeIn(asked), '--yes')
  stage.expect(joined, 0, /you become: +a member, called gpu1/, /you give: +exec: train …, hostname …/, /you get: +nothing/, /joined mesh "home" as gpu1/)
  stage.note('nas is your own machine: `--mine`. It gives its owner everything, and what you see, it may see too.')
  const mine = await laptop.errand('invite', '--name', 'nas', '--mine')
  stage.expect(mine, 0, /it gives: +everything/)
  stage.expect(await nas.errand('join', stage.codeIn(mine), '--yes'), 0, /you give: +everything/, /joined mesh "home" as nas/)
  stage.note('nas has only ever heard of laptop. It found gpu1 through the mesh and has a direct line to it:')
  await stage.eventually('nas reaches gpu1 directly', async () => (await nas.ask('devices')).some(({ name, path }) => name === 'gpu1' && path === 'direct'))
  stage.expect(await nas.errand('devices'), 0, /^gpu1 +online +direct/m, /^laptop +online +direct/m, /^nas +online +self/m)
  await threeProcesses(laptop, gpu1, nas)
}

async function threeProcesses(...devices) {
  const pids = await Promise.all(devices.map(async (device) => (await device.ask('status')).pid))
  stage.check('three nodes are three processes', new Set(pids).size === 3)
  stage.watch(devices.map(({ name }, i) => ({ name, pid: pids[i] })))
  stage.note(`(three processes: ${devices.map(({ name }, i) => `${name} ${pids[i]}`).join(', ')})`)
}

async function delegate(laptop, nas) {
  stage.title('A delegated command', 'Being in the mesh gives no right to anything. So far nas may run nothing on gpu1:')
  stage.expect(await nas.errand('run', 'gpu1', '--', 'train', '--epochs', '5'), 126, /errand: denied on gpu1: no grant from gpu1 reaches nas/)
  stage.note('gpu1 allowed it to the owner, and the owner, on laptop, hands a part of it on, for an hour:')
  stage.expect(await laptop.errand('grant', 'nas', '--on', 'gpu1', '--can', 'exec: train', '--for', '1h'), 0, /✓ nas may exec: train … on gpu1, for 1h/)
  stage.note('Output comes as it is written (left: when it arrived), stderr apart from stdout; the exit code is the command’s own.')
  const trained = await nas.errand.timed('run', 'gpu1', '--', 'train', '--epochs', '5')
  stage.expect(trained, 3, /epoch 1\/5/, /epoch 5\/5/, /no space left/)
  const [first = 0, last = 0] = [trained.arrivals[0], trained.arrivals.at(-1)]
  stage.check('the lines arrived one after the other, and not all at the end', last - first > 800 && trained.arrivals.length >= 5)
  stage.check('stdout and stderr came apart', !trained.stdout.includes('no space') && trained.stderr.includes('no space'))
}

async function refuse(laptop, nas) {
  stage.title(
    'A refused command',
    'The device itself decides, by what was signed, and a refusal says why. gpu1 lets the owner see its name; the owner',
    'gave nas less than that:',
  )
  stage.expect(await laptop.errand('run', 'gpu1', '--', 'hostname'), 0, /\S/)
  stage.expect(await nas.errand('run', 'gpu1', '--', 'hostname'), 126, /errand: denied on gpu1: exe "hostname" is not in \{train\}/)
  stage.note('And the owner has no more on gpu1 than gpu1 gave:')
  stage.expect(await laptop.errand('run', 'gpu1', '--', 'cat', '/etc/passwd'), 126, /errand: denied on gpu1: exe "cat" is not in \{train, hostname\}/)
}

async function revoke(laptop, nas) {
  stage.title(
    'A revocation',
    'nas has begun something long (its lines are marked) when its right is taken back. What runs is stopped at once;',
    'what follows is refused.',
  )
  const running = nas.errand.beside('run', 'gpu1', '--', 'train', '--epochs', '1000')
  await running.line(/epoch 2\/1000/)
  stage.expect(
    await laptop.errand('revoke', '--on', 'gpu1', '--can', 'exec', '--to', 'nas'),
    0,
    /✓ 1 grant revoked · 1 live task stopped/,
    /acknowledged by .*gpu1/,
  )
  const stopped = await running.ended
  stage.expect(stopped, 126, /errand: gpu1: stopped: the right to run it was revoked/)
  stage.check('the command did not run to its end', !stopped.stdout.includes('epoch 100/'))
  stage.expect(await nas.errand('run', 'gpu1', '--', 'train', '--epochs', '5'), 126, /errand: denied on gpu1: the grant was revoked/)
}

async function audit(laptop, nas, gpu1) {
  stage.title('What happened', 'Every device writes a log, hash-chained and signed, and they keep each other’s. On nas, what gpu1 wrote:')
  stage.expect(await nas.errand('audit', '--device', 'gpu1'), 0, /exec\.denied .*cat \/etc\/passwd/, /exec\.start .*train --epochs 1000/, /exec\.end .*exit 3/)
  const everywhere = await nas.ask('audit')
  const seen = new Set(everywhere.map(({ deviceName }) => deviceName))
  stage.check(
    'nas holds the logs of all three',
    ['laptop', 'gpu1', 'nas'].every((name) => seen.has(name)),
  )
  stage.check(
    'the grant and its revocation are in the log',
    ['grant.issue', 'grant.revoke', 'device.join'].every((action) => everywhere.some((one) => one.action === action)),
  )
  stage.note('And the proof that no entry of any of them was changed or left out:')
  stage.expect(await nas.errand('audit', 'verify'), 0, /✓ 3 logs · \d+ entries · 0 gaps/)
  stage.title('The end')
  stage.watch([]) // they may go now
  for (const device of [nas, gpu1, laptop]) stage.expect(await device.errand('down'), 0, /✓ stopped/)
}

/** The nodes have stopped by themselves: whatever is still there is a fault of errand and not something to sweep up quietly. */
async function leaveNothing() {
  const left = processesOf(root)
  stage.check(`no process is left, but there is: ${left.map(({ pid, command }) => `${pid} ${command}`).join('; ')}`, left.length === 0)
  await end()
  stage.check(`nothing is left in ${root}`, !existsSync(root))
}
