/** A driver that runs: requests go to it, and answers come back, as lines of JSON. The protocol is in README.md. */
import { type Command, LineProgram } from '../line-program.ts'

/** What a driver tells of a failure. */
export interface Told {
  readonly code: string
  readonly class?: string | null
  readonly retriable?: boolean | null
  readonly fatal?: boolean | null
  readonly abortable?: boolean | null
  readonly persistence?: string | null
  readonly message?: string | null
  readonly items?: readonly { readonly name: string; readonly error: Told }[] | null
}

/** What came of a request. */
export type Answer = { readonly result: Record<string, unknown> } | { readonly error: Told }

/** Shows every line that goes to and fro: for who writes a driver. */
const trace = (line: string) => {
  if (process.env.DOHLE_CONFORMANCE_TRACE) console.error(line.slice(0, 2_000))
}

/** For a driver that hangs, not for one that is slow. */
const HANGS_MS = 300_000

/** See the module. */
export class Session {
  readonly #program: LineProgram
  readonly #waiting = new Map<number, { resolve(answer: Answer): void; reject(error: Error): void }>()
  #last = 0

  constructor(command: Command) {
    this.#program = new LineProgram(command, {
      line: text => this.#answered(text),
      end: why => {
        for (const { reject } of this.#waiting.values()) reject(why)
      },
    })
  }

  /** What the driver wrote to stderr last, and whatever else was no answer. */
  get said(): string {
    return this.#program.said
  }

  /** The id of the next request: for one that is to be cancelled. */
  get next(): number {
    return this.#last + 1
  }

  /** Asks. Rejects when there is no answer to be had. */
  async ask(request: Readonly<Record<string, unknown>>): Promise<Answer> {
    const id = ++this.#last
    let late: NodeJS.Timeout | undefined
    try {
      return await new Promise<Answer>((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject })
        const line = JSON.stringify({ id, ...request })
        const hangs = new Error(`${this.#program.title} does not answer ${line.slice(0, 500)}\n${this.said}`)
        late = setTimeout(() => reject(hangs), HANGS_MS)
        trace(`→ ${line}`)
        this.#program.write(line)
      })
    } finally {
      clearTimeout(late)
      this.#waiting.delete(id)
    }
  }

  /** Ends the driver, and tells its status: 0 when it ended by itself, as it should. */
  close(): Promise<number | null> {
    return this.#program.close()
  }

  #answered(line: string): void {
    trace(`← ${line}`)
    const { id, ...answer } = JSON.parse(line) as { id: number } & Answer
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) this.#program.note(`an answer that nobody waits for: ${line.slice(0, 500)}\n`)
    else waiting.resolve(answer as Answer)
  }
}
