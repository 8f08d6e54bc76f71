// Programs that this one has started end with it, also when a signal ends it.

const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }

/** From now on a signal is an end like any other: what stops at `exit` is stopped. */
export function endOnSignals() {
  for (const [name, number] of Object.entries(signals)) process.on(name, () => process.exit(128 + number))
}

/** Interrupts `child` when this program ends first. Returns it. */
export function endsWithUs(child) {
  const end = () => child.kill('SIGINT')
  process.once('exit', end)
  child.once('close', () => process.removeListener('exit', end))
  return child
}
