/**
 * The lines of a file as records, and the proof that the same bytes come back. Any bytes are welcome; a line ends at "\n".
 * A file of any size passes: it is read twice as a stream and never held whole.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { type Incoming, Mismatch, type Outgoing, type Workload } from './workload.ts'

/** The longest line that is sent, in bytes: a record must fit into one request (`max.request.size`, 1 MiB) with its frame. */
export const longestLine = 1_048_000

/** Says that the last line of the file has no line end; travels as a header, so that what comes back tells the whole file. */
const unterminated = 'dohle-no-line-end'

const newline = 0x0a

/** A file's lines, in order, through one partition. */
export class Lines implements Workload {
  readonly partitions = 1
  readonly proof = 'count, order, byte by byte (SHA-256)'
  readonly path: string
  readonly records: number
  readonly #digest: string
  readonly #terminated: boolean
  readonly #back = createHash('sha256')
  #count = 0

  private constructor(path: string, records: number, digest: string, terminated: boolean) {
    this.path = path
    this.records = records
    this.#digest = digest
    this.#terminated = terminated
  }

  /** Reads the file once: counts its lines, takes its digest, refuses lines that are too long. */
  static async open(path: string): Promise<Lines> {
    const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
      throw unreadable(path, error)
    })
    if (info.isDirectory()) throw new Error(`--file: ${path} is a folder, not a file`)
    if (!info.isFile()) throw new Error(`--file: ${path} is not a regular file: it is read twice, which no pipe allows`)
    const hash = createHash('sha256')
    let lines = 0
    let length = 0
    const file = await open(path).catch(error => {
      throw unreadable(path, error)
    })
    for await (const chunk of file.createReadStream({ highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      hash.update(chunk)
      for (let at = 0; at < chunk.length; ) {
        const end = chunk.indexOf(newline, at)
        length += (end < 0 ? chunk.length : end) - at
        if (length > longestLine) throw new Error(tooLong(path, lines + 1))
        if (end < 0) break
        lines++
        length = 0
        at = end + 1
      }
    }
    const terminated = length === 0
    return new Lines(path, terminated ? lines : lines + 1, hash.digest('hex'), terminated)
  }

  async *batches(size: number): AsyncIterable<Outgoing[]> {
    let batch: Outgoing[] = []
    let bytes = 0
    let sent = 0
    for await (const line of linesOf(this.path)) {
      sent++
      const last = sent === this.records && !this.#terminated
      batch.push(last ? { key: null, value: line, headers: { [unterminated]: '1' } } : { key: null, value: line })
      bytes += line.length
      if (batch.length < size && bytes < 1 << 20) continue
      yield batch
      batch = []
      bytes = 0
    }
    if (batch.length > 0) yield batch
  }

  check({ value, headers }: Incoming): void {
    if (value === null) throw new Mismatch(`line ${this.#count + 1} came back as null`)
    this.#back.update(value)
    const open = [...headers].some(([name]) => name === unterminated)
    if (!open) this.#back.update('\n')
    this.#count++
  }

  finish(): void {
    if (this.#count !== this.records) throw new Mismatch(`${this.records - this.#count} lines did not come back`)
    if (this.#back.digest('hex') !== this.#digest) throw new Mismatch('what came back differs from the file')
  }
}

/** The lines of a file without their line ends. */
async function* linesOf(path: string): AsyncIterable<Uint8Array> {
  let rest: Buffer[] = []
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>) {
    let at = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, at)) {
      const piece = chunk.subarray(at, end)
      yield rest.length === 0 ? piece : Buffer.concat([...rest, piece])
      rest = []
      at = end + 1
    }
    if (at < chunk.length) rest.push(chunk.subarray(at))
  }
  if (rest.length > 0) yield Buffer.concat(rest)
}

function unreadable(path: string, error: NodeJS.ErrnoException): Error {
  const why = { ENOENT: 'there is no such file', EACCES: 'it may not be read' }[error.code ?? ''] ?? error.message
  return new Error(`--file: ${path}: ${why}`)
}

function tooLong(path: string, line: number): string {
  return `--file: ${path}, line ${line}: longer than the limit of ${longestLine.toLocaleString('en')} bytes for one record (max.request.size)`
}
