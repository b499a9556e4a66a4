/** Where the demo plays: devices whose commands are shown as typed, output that is shown as it comes, and expectations that stop the show. */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { ROOT } from '../build/program.mjs'

/** What `errand` on the PATH is. */
const ERRAND = join(ROOT, 'scripts', 'bin.cjs')
const CODE = /errand1[1-9A-HJ-NP-Za-km-z]{40,}/
const COMMAND_MS = 60_000
const EVENTUALLY_MS = 20_000
const LOG_TAIL = 2_000
const LOOK_MS = 500

/** An expectation that was not met. */
export class DemoFailed extends Error {}

export class Stage {
  #began = performance.now()
  #devices = []
  #nodes = []
  #running = new Set()
  #looking
  checks = 0

  constructor(root) {
    this.root = root
    const eyes = process.stdout.isTTY === true && (process.env.NO_COLOR ?? '') === ''
    const painted = (code) => (text) => (eyes ? `\x1b[${code}m${text}\x1b[0m` : text)
    this.paint = { title: painted('1;36'), typed: painted(1), note: painted(2) }
  }

  seconds() {
    return ((performance.now() - this.#began) / 1_000).toFixed(1)
  }

  title(title, ...words) {
    this.print(`\n${this.paint.title(`── ${title} ${'─'.repeat(Math.max(0, 90 - title.length))}`)}\n`)
    for (const line of words) this.note(line)
  }

  note(text) {
    this.print(`${this.paint.note(text)}\n`)
  }

  print(text) {
    process.stdout.write(text)
  }

  device(name) {
    const device = new Device(this, name)
    this.#devices.push(device)
    return device
  }

  /** From now on a node that ends by itself ends the show: whoever waits for it would wait for minutes, since a node may come back. */
  watch(nodes) {
    this.#nodes = nodes
    this.#looking ??= setInterval(() => this.#dead() !== undefined && this.#stopAll(), LOOK_MS).unref()
  }

  began(child) {
    this.#running.add(child)
    child.once('close', () => this.#running.delete(child))
  }

  #dead() {
    return this.#nodes.find(({ pid }) => !isAlive(pid))
  }

  #stopAll() {
    for (const child of this.#running) child.kill('SIGKILL')
  }

  /** @param patterns each must be found in what the command said, on stdout or stderr. */
  expect(ran, exitCode, ...patterns) {
    const dead = this.#dead()
    if (dead !== undefined) throw new DemoFailed(`the node ${dead.name} (process ${dead.pid}) ended by itself, under \`${ran.typed}\``)
    const said = `${ran.stdout}${ran.stderr}`
    if (ran.exitCode !== exitCode) throw new DemoFailed(`\`${ran.typed}\` ended with ${ran.exitCode}, not with ${exitCode}`)
    const missing = patterns.find((pattern) => !pattern.test(said))
    if (missing !== undefined) throw new DemoFailed(`\`${ran.typed}\` did not say ${missing}; it said:\n${said}`)
    this.checks += 1 + patterns.length
    if (exitCode !== 0) this.print(`${this.paint.typed(`${ran.device}$`)} echo $?\n${exitCode}\n`)
  }

  check(what, holds) {
    if (!holds) throw new DemoFailed(`this does not hold: ${what}`)
    this.checks++
  }

  async eventually(what, ask) {
    const until = performance.now() + EVENTUALLY_MS
    while (!(await ask())) {
      if (performance.now() > until) throw new DemoFailed(`not within ${EVENTUALLY_MS / 1_000} s: ${what}`)
      await pause(100)
    }
    this.checks++
  }

  /** The code that `errand invite` printed. */
  codeIn({ stdout, typed }) {
    const [code] = CODE.exec(stdout) ?? []
    if (code === undefined) throw new DemoFailed(`\`${typed}\` printed no code`)
    return code
  }

  /** The end of each node's log, for whoever has to find out what went wrong. */
  logs() {
    return this.#devices
      .map(({ name, home }) => ({ name, path: join(home, 'errand.log') }))
      .filter(({ path }) => existsSync(path))
      .map(({ name, path }) => ({ name, text: readFileSync(path, 'utf8').slice(-LOG_TAIL).trim() }))
      .filter(({ text }) => text !== '')
      .map(({ name, text }) => `── log of ${name}\n${text}\n`)
      .join('')
  }
}

class Device {
  constructor(stage, name) {
    this.stage = stage
    this.name = name
    this.home = join(stage.root, name)
    /** Types a command, shows what it says as it says it, and waits for its end. */
    this.errand = Object.assign((...args) => this.#start(args, {}).ended, {
      /** The same, with the time at which each line arrived. */
      timed: (...args) => this.#start(args, { mark: 'time' }).ended,
      /** Does not wait: other commands follow while it runs, so its lines are marked with the device. */
      beside: (...args) => this.#start(args, { mark: 'device' }),
    })
  }

  /** Asks for facts, silently: what `--json` prints, one document or one a line. */
  async ask(...args) {
    const { stdout, stderr, exitCode, typed } = await this.#start([...args, '--json'], { silent: true }).ended
    if (exitCode !== 0) throw new DemoFailed(`\`${typed}\` ended with ${exitCode}: ${stdout}${stderr}`)
    const documents = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    return args[0] === 'audit' ? documents : documents[0]
  }

  #start(args, { silent = false, mark }) {
    const typed = `errand ${args.map(quoted).join(' ')}`
    if (!silent) this.stage.print(`\n${this.stage.paint.typed(`${this.name}$ ${shortened(typed)}`)}\n`)
    const { PATH, LANG, TERM } = process.env
    const env = { PATH, LANG, TERM, NO_COLOR: '1', HOME: this.stage.root, TMPDIR: this.stage.root, ERRAND_HOME: this.home }
    const child = spawn(process.execPath, [ERRAND, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: COMMAND_MS })
    this.stage.began(child)
    return new Running(child, { device: this.name, typed: shortened(typed), show: silent ? () => undefined : this.#shower(mark) })
  }

  #shower(mark) {
    const began = performance.now()
    const marks = { time: () => `${((performance.now() - began) / 1_000).toFixed(1).padStart(4)} s  `, device: () => `  ${this.name} │ ` }
    return (line) => this.stage.print(`${marks[mark]?.() ?? ''}${shortened(line)}\n`)
  }
}

class Running {
  #stdout = ''
  #stderr = ''
  #arrivals = []
  #awaited = []

  constructor(child, { device, typed, show }) {
    const began = performance.now()
    const seen = (line) => {
      this.#arrivals.push(performance.now() - began)
      show(line)
      for (const { pattern, resolve } of this.#awaited) if (pattern.test(line)) resolve()
    }
    eachLine(child.stdout, seen, (text) => (this.#stdout += text))
    eachLine(child.stderr, seen, (text) => (this.#stderr += text))
    this.typed = typed
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (exitCode, signal) => {
        resolve({ device, typed, exitCode: exitCode ?? signal, stdout: this.#stdout, stderr: this.#stderr, arrivals: this.#arrivals })
      })
    })
  }

  /** Resolves when a line like this was printed. */
  line(pattern) {
    const printed = new Promise((resolve) => this.#awaited.push({ pattern, resolve }))
    const over = this.ended.then(({ exitCode, stderr }) => {
      throw new DemoFailed(`\`${this.typed}\` ended with ${exitCode} before it said ${pattern}: ${stderr}`)
    })
    return Promise.race([printed, over])
  }
}

/** Whole lines as they come; whatever is left at the end counts as one. */
function eachLine(stream, onLine, onText) {
  let rest = ''
  stream.setEncoding('utf8').on('data', (text) => {
    onText(text)
    const lines = `${rest}${text}`.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line)
  })
  stream.once('end', () => {
    if (rest !== '') onLine(rest)
  })
}

function quoted(arg) {
  return /^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`
}

/** Codes have some 900 characters, which nobody wants to read. */
function shortened(text) {
  return text.replace(CODE, (code) => `${code.slice(0, 14)}…${code.slice(-6)}`)
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
