/** A driver that runs: requests go to it, and answers come back, as lines of JSON. The protocol is in README.md. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** How a driver is started. */
export interface Command {
  readonly command: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

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
  readonly #child: ChildProcessWithoutNullStreams
  readonly #title: string
  readonly #waiting = new Map<number, { resolve(answer: Answer): void; reject(error: Error): void }>()
  readonly #closed: Promise<void>
  #last = 0
  #said = ''
  #over: Error | undefined

  constructor({ command, env, cwd }: Command) {
    const [file = '', ...args] = command
    this.#title = command.map(word => word.replace(/.*\//, '')).join(' ')
    this.#child = spawn(file, args, { env: { ...process.env, ...env }, ...(cwd && { cwd }) })
    const kill = () => this.#child.kill('SIGKILL')
    process.once('exit', kill)
    this.#child.stderr.on('data', bytes => this.#note(`${bytes}`))
    this.#child.stdin.on('error', () => {}) // its end says more
    this.#child.on('error', error => this.#end(error.message))
    this.#closed = new Promise(resolve => {
      this.#child.on('close', (code, signal) => {
        process.removeListener('exit', kill)
        this.#end(`ended with ${signal ?? code}`)
        resolve()
      })
    })
    createInterface({ input: this.#child.stdout }).on('line', line => this.#answered(line))
  }

  /** What the driver wrote to stderr last, and whatever else was no answer. */
  get said(): string {
    return this.#said
  }

  /** The id of the next request: for one that is to be cancelled. */
  get next(): number {
    return this.#last + 1
  }

  /** Asks. Rejects when there is no answer to be had. */
  async ask(request: Readonly<Record<string, unknown>>): Promise<Answer> {
    if (this.#over) throw this.#over
    const id = ++this.#last
    let late: NodeJS.Timeout | undefined
    try {
      return await new Promise<Answer>((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject })
        const hangs = new Error(
          `${this.#title} does not answer ${JSON.stringify(request).slice(0, 500)}\n${this.#said}`,
        )
        late = setTimeout(() => reject(hangs), HANGS_MS)
        const line = JSON.stringify({ id, ...request })
        trace(`→ ${line}`)
        this.#child.stdin.write(`${line}\n`)
      })
    } finally {
      clearTimeout(late)
      this.#waiting.delete(id)
    }
  }

  /** Ends the driver, and tells its status: 0 when it ended by itself, as it should. */
  async close(): Promise<number | null> {
    this.#child.stdin.end()
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 30_000)
    await this.#closed
    clearTimeout(late)
    return this.#child.exitCode
  }

  #answered(line: string): void {
    trace(`← ${line}`)
    if (!line.startsWith('{')) return this.#note(`${line}\n`)
    const { id, ...answer } = JSON.parse(line) as { id: number } & Answer
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) this.#note(`an answer that nobody waits for: ${line.slice(0, 500)}\n`)
    else waiting.resolve(answer as Answer)
  }

  #note(text: string): void {
    this.#said = `${this.#said}${text}`.slice(-6_000)
  }

  #end(why: string): void {
    this.#over ??= new Error(`${this.#title} ${why}\n${this.#said}`)
    for (const { reject } of this.#waiting.values()) reject(this.#over)
  }
}
