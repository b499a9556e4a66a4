/**
 * The port that "any free port" became last time. After a power cut every device of a mesh comes back at once; with other ports
 * than before none of them would find another where there is no multicast.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import * as v from 'valibot'
import { asErrand } from '../base/errors.ts'

const Remembered = v.record(v.string(), v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)))
const ANY_PORT = /\/tcp\/0$/

/** The addresses with last time's ports, or undefined when there is nothing to remember. */
export function withLastPorts(file: string, listen: readonly string[]): string[] | undefined {
  const last = read(file)
  const filled = listen.map((address) => (last[address] === undefined ? address : address.replace(ANY_PORT, `/tcp/${last[address]}`)))
  return filled.some((address, i) => address !== listen[i]) ? filled : undefined
}

/** @param actual what the node listens on now, in any order. */
export function rememberPorts(file: string, listen: readonly string[], actual: readonly string[]): void {
  const ports = listen.filter((address) => ANY_PORT.test(address)).flatMap((address) => portFor(address, actual))
  if (ports.length > 0) writeFileSync(file, JSON.stringify(Object.fromEntries(ports)), { mode: 0o600 })
}

/** `/ip4/0.0.0.0` became one address for each interface, all with one port. */
function portFor(address: string, actual: readonly string[]): [string, number][] {
  const [, family = ''] = address.split('/')
  const host = address.replace(ANY_PORT, '')
  const ours = actual.find((one) => one.startsWith(`${host}/tcp/`)) ?? actual.find((one) => one.startsWith(`/${family}/`))
  const port = Number(/\/tcp\/(\d+)/.exec(ours ?? '')?.[1])
  return Number.isInteger(port) && port > 0 ? [[address, port]] : []
}

function read(file: string): Readonly<Record<string, number | undefined>> {
  try {
    return v.parse(Remembered, JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    return {} // a convenience: without it any free port will do
  }
}

/** Tries one list of addresses after the other, as long as ports are taken. */
export async function firstThatListens<T>(tries: readonly (readonly string[])[], start: (listen: readonly string[]) => Promise<T>): Promise<T> {
  for (const listen of tries.slice(0, -1)) {
    try {
      return await start(listen)
    } catch (thrown) {
      if (asErrand(thrown).code !== 'PORT_TAKEN') throw thrown
    }
  }
  return await start(tries.at(-1) ?? [])
}
