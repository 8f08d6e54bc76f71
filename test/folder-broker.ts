/** The command `dohle broker` with a log folder, as a process of its own: to be killed, and to be started again where it was. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { endsWithUs } from '../scripts/lib/children.mjs'
import { root } from '../scripts/lib/paths.mjs'

/** What it shall be. */
export interface FolderBrokerOptions {
  readonly folder: string
  /** 0 takes a free one, and keeps to it. */
  readonly port?: number
  /** How many, at the port and those behind it: default 1. */
  readonly nodes?: number
  /** Properties by Kafka's names. */
  readonly settings?: Record<string, string>
}

/** A broker that keeps all in a folder. */
export class FolderBroker {
  /** Where it answers, also after it was started again; of several nodes, where each does. */
  address = ''
  readonly #options: FolderBrokerOptions
  #child: ChildProcessByStdio<null, Readable, null> | undefined

  private constructor(options: FolderBrokerOptions) {
    this.#options = options
  }

  /** Starts one; it answers then. */
  static async start(options: FolderBrokerOptions): Promise<FolderBroker> {
    const broker = new FolderBroker(options)
    await broker.start()
    return broker
  }

  /** The port of the first node; 0 before it was started. */
  get port(): number {
    return Number.parseInt(this.address.split(':')[1] ?? '0', 10)
  }

  /** The process. */
  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** Starts it again, at its address. */
  async start(): Promise<void> {
    const { folder, nodes = 1, settings = {} } = this.#options
    const port = this.port || (this.#options.port ?? 0)
    const overrides = Object.entries(settings).flatMap(([name, value]) => ['--override', `${name}=${value}`])
    const command = [
      '--import',
      'tsx',
      `${root}/ts/cli.ts`,
      'broker',
      '--port',
      `${port}`,
      '--log-dir',
      folder,
      '--nodes',
      `${nodes}`,
    ]
    const child = spawn(process.execPath, [...command, ...overrides], {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: root,
    })
    endsWithUs(child)
    this.#child = child
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`the broker ended with ${code} before it answered`)
    })
    const [line] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended])
    this.address = line as string
  }

  /** Ends it: SIGTERM for a clean stop. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
  }
}
