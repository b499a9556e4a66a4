/** Keeps a process alive while it only waits: the clock's timers do not, because in a node at rest they must not. */

/** Without this, Node ends a program that has nothing left but such a timer. The returned function lets go. */
export function stayAwake(): () => void {
  const { port1, port2 } = new MessageChannel()
  port1.ref()
  return () => {
    port1.close()
    port2.close()
  }
}
