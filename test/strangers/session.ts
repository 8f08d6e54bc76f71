/** How the runner talks to a client: a program that answers lines of JSON, or functions of this process. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Limits } from './table.ts'

/** A client of somebody else, connected to one broker. */
export interface Session {
  /** Does a case, and tells what it saw. */
  run(id: string, name: string): Promise<Record<string, unknown>>
  close(): Promise<void>
}

/** A client of somebody else. */
export interface Stranger extends Limits {
  readonly id: string
  readonly title: string
  /** Programs of the machine that it needs. */
  readonly needs: readonly string[]
  /** Installs or builds what it needs, once, and gives the way to connect it to a broker. */
  setUp(): Promise<(bootstrap: string) => Session>
}

type Answer = { result: Record<string, unknown> } | { error: string }

/** A program that takes the broker as its last argument, reads `{"case", "name"}` and answers `{"result"}` or `{"error"}`, line by line. */
export function program(
  command: readonly string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
): (bootstrap: string) => Session {
  return bootstrap => {
    const [file = '', ...args] = [...command, bootstrap]
    const env = { ...process.env, ...options.env }
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env, cwd: options.cwd })
    const kill = () => child.kill('SIGKILL')
    process.once('exit', kill)
    let said = ''
    child.stderr.on('data', bytes => {
      said = `${said}${bytes}`.slice(-6_000)
    })
    child.stdin.on('error', () => {}) // its end says more
    const waiting: { resolve(answer: Answer): void; reject(error: Error): void }[] = []
    let over: Error | undefined
    const end = (why: string) => {
      over ??= new Error(`${command.join(' ')} ${why}\n${said}`)
      for (const { reject } of waiting.splice(0)) reject(over)
    }
    child.on('error', error => end(error.message))
    const closed = new Promise<void>(resolve => {
      child.on('close', (code, signal) => {
        process.removeListener('exit', kill)
        end(`ended with ${signal ?? code}`)
        resolve()
      })
    })
    createInterface({ input: child.stdout }).on('line', line => {
      if (line.startsWith('{')) waiting.shift()?.resolve(JSON.parse(line) as Answer)
      else said += `${line}\n`
    })
    return {
      async run(id, name) {
        if (over) throw over
        const answer = await new Promise<Answer>((resolve, reject) => {
          waiting.push({ resolve, reject })
          child.stdin.write(`${JSON.stringify({ case: id, name })}\n`)
        })
        if ('error' in answer) throw new Error(`${answer.error}\n${said}`)
        return answer.result
      },
      async close() {
        child.stdin.end()
        const late = setTimeout(kill, 30_000)
        await closed
        clearTimeout(late)
      },
    }
  }
}
