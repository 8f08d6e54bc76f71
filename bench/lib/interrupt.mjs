// Ctrl-C while a broker has topics of ours, or is ours: the programs end at once, then everything is cleaned up.

import { constants } from 'node:os'

/** From now on SIGINT and SIGTERM abort `signal` instead of ending the process; the second one ends it without cleaning up. */
export function onInterrupt(say) {
  const controller = new AbortController()
  const { signal } = controller
  const interrupt = { signal, exitCode: 0, end }
  function onSignal(name) {
    const exitCode = 128 + constants.signals[name]
    if (signal.aborted) process.exit(exitCode)
    interrupt.exitCode = exitCode
    say(`${name}: cleaning up (once more: leave at once)`)
    controller.abort(new Error(`interrupted by ${name}`))
  }
  function end() {
    for (const name of ['SIGINT', 'SIGTERM']) process.removeListener(name, onSignal)
  }
  for (const name of ['SIGINT', 'SIGTERM']) process.on(name, onSignal)
  return interrupt
}
