/** Listening on a Unix socket that nobody but this user can open, from its first moment on. */
import { chmod } from 'node:fs/promises'
import type { Server } from 'node:net'
import { ErrandError } from '../base/errors.ts'

/** @throws ErrandError SOCKET_TAKEN, SOCKET_FAILED. */
export async function listenOnSocket(server: Server, socketPath: string): Promise<void> {
  const listening = new Promise<void>((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', (cause: NodeJS.ErrnoException) => reject(listenFault(socketPath, cause)))
  })
  // The socket is born with 0600: bind happens inside `listen`, so the narrow umask lasts for this one call. chmod is for systems that ignore it.
  const before = process.umask(0o177)
  try {
    server.listen({ path: socketPath })
  } finally {
    process.umask(before)
  }
  await listening
  if (process.platform !== 'win32') await chmod(socketPath, 0o600)
}

function listenFault(path: string, cause: NodeJS.ErrnoException): ErrandError {
  return cause.code === 'EADDRINUSE'
    ? new ErrandError('SOCKET_TAKEN', `${path} is in use`, { hint: 'is a node running on this home? errand status', cause })
    : new ErrandError('SOCKET_FAILED', `cannot listen on ${path}: ${cause.message}`, { hint: 'is the home writable?', cause })
}
