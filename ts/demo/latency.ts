/**
 * Latencies in a histogram of fixed size (steps of 3 %), so that a million of them cost no memory.
 * Not a statistics library; driven by `run.ts`.
 */
const buckets = 1_000
const step = Math.log(1.03)

/** Counts durations in microseconds and tells their percentiles. */
export class Latency {
  readonly #counts = new Uint32Array(buckets)
  #total = 0

  /** Counts `times` records that took `micros` each. */
  add(micros: number, times = 1): void {
    const at = Math.min(buckets - 1, Math.max(0, Math.round(Math.log(Math.max(1, micros)) / step)))
    this.#counts[at] = (this.#counts[at] as number) + times
    this.#total += times
  }

  /** The duration in microseconds that `fraction` of the records did not exceed; 0 when there are none. */
  percentile(fraction: number): number {
    if (this.#total === 0) return 0
    let left = Math.ceil(this.#total * fraction)
    for (let at = 0; at < buckets; at++) {
      left -= this.#counts[at] as number
      if (left <= 0) return Math.round(Math.exp(at * step))
    }
    return Math.round(Math.exp((buckets - 1) * step))
  }
}
