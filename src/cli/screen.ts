/**
 * A terminal's screen out of all that was printed there: what whoever comes back to it has to be shown. Loads the emulator, so it is a
 * program of its own that nothing else waits for.
 */
import { SerializeAddon } from '@xterm/addon-serialize'
import { Terminal } from '@xterm/headless'
import type { WindowSize } from '../../protocols/task/messages.ts'

/** Enough for what is on a screen, whatever a program draws; more would only take time. */
const REPLAYED_BYTES = 8 << 20
const LINES_ABOVE = 1_000

export class Screen {
  readonly #pieces: Uint8Array[] = []
  #bytes = 0

  /** What was printed next. The beginning of a lot is forgotten. */
  push(piece: Uint8Array): void {
    this.#pieces.push(piece)
    this.#bytes += piece.length
    while (this.#bytes - (this.#pieces[0]?.length ?? 0) > REPLAYED_BYTES) this.#bytes -= this.#pieces.shift()?.length ?? 0
  }

  /** Draws it on a terminal of this size that shows nothing: text, colours, cursor, and the modes that programs have turned on. Nothing is answered to what they ask a terminal. */
  async drawn({ columns, rows }: WindowSize): Promise<string> {
    const terminal = new Terminal({ cols: columns, rows, scrollback: LINES_ABOVE, allowProposedApi: true })
    const serialize = new SerializeAddon()
    terminal.loadAddon(serialize)
    for (const piece of this.#pieces) await new Promise<void>((resolve) => terminal.write(piece, resolve))
    const drawn = serialize.serialize({ scrollback: LINES_ABOVE })
    terminal.dispose()
    return drawn
  }
}
