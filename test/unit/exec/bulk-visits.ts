/** Who comes to the exec-host's door on the network, with a ticket, with none, or with something else; and what of the host can be seen from outside. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { connect as connectPlain, type Socket } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { BULK, HOST_TAG } from '../../../protocols/host/frames.ts'
import type { Ticket } from '../../../protocols/host/messages.ts'
import { until } from '../../support/until.ts'

const open: (Socket | TLSSocket)[] = []

/** Ends every connection that a test made here. */
export function hangUp(): void {
  for (const socket of open.splice(0)) socket.destroy()
}

export type Key = Pick<Ticket, 'id' | 'key'> & { readonly port: number }

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** @param allowHalfOpen goes on saying something when the host has said its last. */
export function dialWith({ port, id, key }: Key, allowHalfOpen = false): TLSSocket {
  const socket = connect({
    ...{ allowHalfOpen }, // of net.connect, which tls.connect hands it to; its types do not know
    ...{ host: '127.0.0.1', port, minVersion: 'TLSv1.3', ciphers: BULK.ciphers, checkServerIdentity: () => undefined },
    pskCallback: () => ({ psk: Buffer.from(key), identity: hex(id) }),
  })
  open.push(socket)
  return socket
}

/** TLS with this key, as far as it gets: every byte that comes out, until the door is shut. */
export function knock(ticket: Key, say: Uint8Array = follow(0)): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = dialWith(ticket)
    collect(socket, resolve)
    socket.once('secureConnect', () => socket.write(say))
  })
}

/** A reader that is in and has heard something. */
export async function entered(ticket: Key): Promise<{ readonly whole: Promise<Buffer> }> {
  const socket = dialWith(ticket)
  const whole = new Promise<Buffer>((resolve) => collect(socket, resolve))
  socket.once('secureConnect', () => socket.write(follow(0)))
  await new Promise((resolve) => socket.once('data', resolve))
  return { whole }
}

/** A reader that is in, has asked for everything from an offset on, and takes nothing. */
export async function stuckReader(ticket: Key, from: () => Promise<number>, allowHalfOpen = false): Promise<TLSSocket> {
  const socket = dialWith(ticket, allowHalfOpen)
  socket.on('error', () => undefined)
  await new Promise((resolve) => socket.once('secureConnect', resolve))
  socket.write(follow(await from()))
  await new Promise((resolve) => socket.once('readable', resolve))
  return socket
}

export function collect(socket: Socket | TLSSocket, resolve: (bytes: Buffer) => void): void {
  const got: Buffer[] = []
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => void got.push(chunk))
  socket.once('close', () => resolve(Buffer.concat(got)))
}

/** The frame that says nothing but that the reader is there. */
export const ALIVE = Uint8Array.of(1, HOST_TAG.alive)

/** The frame that asks for what follows an offset. */
export const follow = (offset: number): Uint8Array => {
  const frame = Buffer.from([9, 3, 0, 0, 0, 0, 0, 0, 0, 0])
  frame.writeUInt32BE(offset, 6)
  return frame
}

/** TLS as browsers speak it; with a session, one that is resumed. */
export function plainTls(port: number, session?: Buffer, secured: () => void = () => undefined): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...(session === undefined ? {} : { session }) })
    open.push(socket)
    collect(socket, resolve)
    socket.once('secureConnect', secured)
    if (session === undefined) socket.once('secureConnect', () => socket.write(follow(0)))
  })
}

export function plainTcp(port: number, say: Uint8Array): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = connectPlain({ host: '127.0.0.1', port })
    open.push(socket)
    collect(socket, resolve)
    socket.write(say)
  })
}

/** How much a process has written by the time at which it writes no more. */
export async function writtenUntilStill(pid: number): Promise<number> {
  const looks: number[] = []
  await until('the command stands still', () => {
    looks.push(Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))?.[1]))
    return looks.length > 6 && new Set(looks.slice(-6)).size === 1
  })
  return looks.at(-1) ?? 0
}

/** TCP ports that the host listens on. */
export function listening(host: number): number[] {
  const inodes = new Set(socketInodes(host))
  return tcpRows(host).flatMap(({ port, state, inode }) => (state === '0A' && inodes.has(inode) ? [port] : []))
}

/** The connection that came to this port can still be written to by the host. */
export function isOpenAt(host: number, port: number): boolean {
  return tcpRows(host).some((row) => row.port === port && row.state === '01')
}

function tcpRows(host: number): { port: number; state: string; inode: string }[] {
  const rows = readFileSync(`/proc/${host}/net/tcp`, 'latin1').trim().split('\n').slice(1)
  return rows
    .map((row) => row.trim().split(/\s+/))
    .map((fields) => ({ port: parseInt(fields[1]?.split(':')[1] ?? '', 16), state: fields[3] ?? '', inode: fields[9] ?? '' }))
}

export function openDescriptors(host: number): string[] {
  return readdirSync(`/proc/${host}/fd`)
}

function socketInodes(host: number): string[] {
  return openDescriptors(host).flatMap((fd) => {
    try {
      return [/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${host}/fd/${fd}`))?.[1] ?? '']
    } catch {
      return []
    }
  })
}

export const residentBytes = (host: number): number => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${host}/status`, 'latin1'))?.[1]) * 1_024
