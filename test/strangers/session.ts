/** How the runner talks to a client: a program that answers lines of JSON, or functions of this process. */
import { type Command, LineProgram } from '../line-program.ts'
import type { Limits } from './table.ts'

/** A client of somebody else, connected to one broker. */
export interface Session {
  /** Does a case, and tells what it saw. */
  run(id: string, name: string): Promise<Record<string, unknown>>
  close(): Promise<unknown>
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
  options: Omit<Command, 'command'> = {},
): (bootstrap: string) => Session {
  return bootstrap => {
    const waiting: { resolve(answer: Answer): void; reject(error: Error): void }[] = []
    const it = new LineProgram(
      { ...options, command: [...command, bootstrap] },
      {
        line: text => waiting.shift()?.resolve(JSON.parse(text) as Answer),
        end: why => {
          for (const { reject } of waiting.splice(0)) reject(why)
        },
      },
    )
    return {
      async run(id, name) {
        const answer = await new Promise<Answer>((resolve, reject) => {
          it.write(JSON.stringify({ case: id, name }))
          waiting.push({ resolve, reject })
        })
        if ('error' in answer) throw new Error(`${answer.error}\n${it.said}`)
        return answer.result
      },
      close: () => it.close(),
    }
  }
}
