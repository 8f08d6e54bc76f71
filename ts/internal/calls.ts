/**
 * The handlers that run, and which of them a call comes from: who closes a consumer in a handler cannot wait for that
 * handler. Not which records they have (`for-each.ts`).
 *
 * The way from a call to its handler is an `AsyncLocalStorage`: it also finds the handler behind an `await`.
 */
import { AsyncLocalStorage } from 'node:async_hooks'

const current = new AsyncLocalStorage<Call>()

/** One handler that runs. */
export class Call {
  readonly calls: Calls
  /** Who waits for its end. */
  onEnd: (() => void)[] | undefined

  constructor(calls: Calls) {
    this.calls = calls
  }
}

/** The handler that this is called in; undefined: in none. */
export const caller = (): Call | undefined => current.getStore()

/** The handlers of one `forEach`. */
export class Calls {
  readonly #running = new Set<Call>()
  /** The handler that `forEach` itself was called in. */
  readonly #outer = caller()

  /** Calls `handler`. `end` is to be called when what it returns is settled. */
  begin<T>(handler: (argument: T) => unknown, argument: T, call: Call): unknown {
    this.#running.add(call)
    return current.run(call, handler, argument)
  }

  /** The handler is done. */
  end(call: Call): void {
    this.#running.delete(call)
    if (call.onEnd !== undefined) for (const done of call.onEnd) done()
  }

  /** Resolves when none of those that run now runs, but for those that `callers` are in; undefined: that is so. */
  quiet(callers: Iterable<Call | undefined>): Promise<void> | undefined {
    const inside = new Set<Call>()
    for (let call of callers) for (; call !== undefined; call = call.calls.#outer) inside.add(call)
    const others = [...this.#running].filter(call => !inside.has(call))
    if (others.length === 0) return undefined
    const ended = (call: Call) =>
      new Promise<void>(resolve => {
        call.onEnd = [...(call.onEnd ?? []), resolve]
      })
    return Promise.all(others.map(ended)).then(() => {})
  }
}
