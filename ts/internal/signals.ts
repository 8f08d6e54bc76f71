/**
 * One listener per `AbortSignal`, however many of our calls it may end: adding one is cheap, and Node does not warn of a leak.
 */

const actions = new WeakMap<AbortSignal, Set<() => void>>()

/** Runs `action` when `signal` is aborted, once, unless what is returned has been called before. */
export function onAbort(signal: AbortSignal, action: () => void): () => void {
  let own = actions.get(signal)
  if (own === undefined) {
    own = new Set()
    actions.set(signal, own)
  }
  const all = own
  if (all.size === 0) signal.addEventListener('abort', runAll, { once: true })
  all.add(action)
  return () => {
    if (!all.delete(action) || all.size > 0) return
    try {
      signal.removeEventListener('abort', runAll)
    } catch {
      // One that is no AbortSignal of Node's. The call has ended, and is told how; nothing is left to run.
    }
  }
}

function runAll(this: AbortSignal): void {
  const own = actions.get(this)
  if (own === undefined) return
  actions.delete(this)
  for (const action of own) action()
}
