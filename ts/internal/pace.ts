/**
 * Keeps loops from standing in the event loop's way: after 4 ms, and at a chunk boundary after 1 ms, they let it run.
 */

/** Longest time that a loop keeps the event loop, in milliseconds. */
export const SLICE_MS = 4
/** Longest time that chunks which are here already follow each other without a turn of the event loop, in milliseconds. */
export const CHUNKS_MS = 1
/** Most steps between two looks at the clock, which costs as much as a step itself. */
const STEPS = 8

/** Resolves when the event loop has run. */
export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** The clock of one loop. */
export class Pace {
  #begun = performance.now()
  #looked = this.#begun
  /** One at first: nothing is known yet of how long a step takes. */
  #granted = 1
  /** Steps until the next look at the clock. Counted down by the loop. */
  steps = 1

  /** Whether the loop must let the event loop run now. Called when `steps` is used up; gives new ones. */
  due(): boolean {
    const now = performance.now()
    const each = (now - this.#looked) / this.#granted
    this.#looked = now
    // As many steps as fit into a fourth of a slice, should they stay as long as the last ones were.
    this.#granted = each * STEPS > SLICE_MS / 4 ? Math.max(1, Math.floor(SLICE_MS / 4 / each)) : STEPS
    this.steps = this.#granted
    return now - this.#begun >= SLICE_MS
  }

  /** Lets the event loop run. */
  async rest(): Promise<void> {
    await turn()
    this.rested()
  }

  /** The event loop has run. */
  rested(): void {
    this.#begun = performance.now()
    this.#looked = this.#begun
    this.steps = this.#granted
  }
}
