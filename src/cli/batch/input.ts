/** Lines of a stream of bytes, one at a time and no further than they are taken. One that is too long is told as such and left out, whatever it holds. */
export const MAX_LINE_BYTES = 1 << 20
const NEWLINE = 0x0a

/** undefined: a line that was too long. */
export async function* linesIn(source: AsyncIterable<Uint8Array>): AsyncGenerator<string | undefined> {
  let held: Uint8Array[] = []
  let bytes = 0
  const whole = (last: Uint8Array): string | undefined => {
    const line = bytes + last.length > MAX_LINE_BYTES ? undefined : Buffer.concat([...held, last]).toString()
    held = []
    bytes = 0
    return line
  }
  for await (const chunk of source) {
    let from = 0
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      yield whole(chunk.subarray(from, at))
      from = at + 1
    }
    const rest = chunk.subarray(from)
    bytes += rest.length
    if (bytes <= MAX_LINE_BYTES) held.push(rest)
    else held = []
  }
  if (bytes > 0) yield whole(new Uint8Array())
}
