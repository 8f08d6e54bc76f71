/**
 * The answers to records that crossed together, gathered by group: which index was the first, and how many came.
 *
 * Within one call a group's indices follow each other. Used again and again; nothing is allocated per record.
 */

/** Answer group of a record that the engine refused. */
export const REFUSED = -1
/** Answer group of a record that was taken back. */
export const SKIPPED = -2

const SLOTS = 64

/** See the module. */
export class Groups {
  /** Groups, in the order in which they came. What is behind `size` is of no meaning, here and below. */
  readonly numbers: number[] = []
  /** Index of the first record of each. */
  readonly firsts: number[] = []
  /** Records of each. */
  readonly counts: number[] = []
  /** How many groups there are. */
  size = 0
  /** By the low bits of a group's number, where it was found last. */
  readonly #slots = new Int32Array(SLOTS)

  /** Gathers `count` answers, two words each, from `at` on. Refused and skipped records are in no group. */
  of(answers: Int32Array, at: number, count: number): void {
    const { numbers, counts } = this
    const slots = this.#slots
    this.size = 0
    for (let i = at, end = at + 2 * count; i < end; i += 2) {
      const group = answers[i]!
      let place = slots[group & (SLOTS - 1)]!
      if (place >= this.size || numbers[place] !== group) {
        if (group === REFUSED || group === SKIPPED) continue
        place = this.#find(group, answers[i + 1]!)
        slots[group & (SLOTS - 1)] = place
      }
      counts[place]!++
    }
  }

  #find(group: number, index: number): number {
    for (let place = 0; place < this.size; place++) if (this.numbers[place] === group) return place
    const place = this.size++
    this.numbers[place] = group
    this.firsts[place] = index
    this.counts[place] = 0
    return place
  }
}
