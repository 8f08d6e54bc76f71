/**
 * A program that is spoken to in lines of JSON: a driver of the table of behaviour, a client of somebody else. What the lines mean is the
 * matter of who speaks with it.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** How a program is started. */
export interface Command {
  readonly command: readonly string[]
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly cwd?: string | undefined
}

/** Who hears of a program. */
export interface Listener {
  /** A line that begins with a brace. Others are noise, see `said`. */
  line(text: string): void
  /** It has ended, or could not be started: once. */
  end(why: Error): void
}

/** How long a program may take to end after its input has. */
const ENDS_MS = 30_000

/** See the module. */
export class LineProgram {
  /** The command, without its folders. */
  readonly title: string
  readonly #child: ChildProcessWithoutNullStreams
  readonly #closed: Promise<void>
  #said = ''
  #over: Error | undefined

  constructor({ command, env, cwd }: Command, listener: Listener) {
    const [file = '', ...args] = command
    this.title = command.map(word => word.replace(/.*\//, '')).join(' ')
    this.#child = spawn(file, args, { env: { ...process.env, ...env }, ...(cwd && { cwd }) })
    const kill = () => this.#child.kill('SIGKILL')
    process.once('exit', kill)
    const end = (why: string) => {
      if (this.#over) return
      this.#over = new Error(`${this.title} ${why}\n${this.#said}`)
      listener.end(this.#over)
    }
    this.#child.stderr.on('data', bytes => this.note(`${bytes}`))
    this.#child.stdin.on('error', () => {}) // its end says more
    this.#child.on('error', error => end(error.message))
    this.#closed = new Promise(resolve => {
      this.#child.on('close', (code, signal) => {
        process.removeListener('exit', kill)
        end(`ended with ${signal ?? code}`)
        resolve()
      })
    })
    createInterface({ input: this.#child.stdout }).on('line', line => {
      if (line.startsWith('{')) listener.line(line)
      else this.note(`${line}\n`)
    })
  }

  /** What it wrote to stderr last, and whatever else was noise. */
  get said(): string {
    return this.#said
  }

  /** Adds to what it said. */
  note(text: string): void {
    this.#said = `${this.#said}${text}`.slice(-6_000)
  }

  /** Sends it a line. Throws when it has ended. */
  write(line: string): void {
    if (this.#over) throw this.#over
    this.#child.stdin.write(`${line}\n`)
  }

  /** Ends its input, waits for its end, and tells its status: 0 when it ended by itself, as it should. */
  async close(): Promise<number | null> {
    this.#child.stdin.end()
    const late = setTimeout(() => this.#child.kill('SIGKILL'), ENDS_MS)
    await this.#closed
    clearTimeout(late)
    return this.#child.exitCode
  }
}
