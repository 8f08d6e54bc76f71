/**
 * Where the records of a batch went: group and index of each, and what became of the groups. Put together on demand, so
 * that a batch whose sender does not look at each record costs nothing per record.
 */
import type { KafkaError } from '../errors.ts'

/** What became of records that lay side by side in a group. */
export interface Fate {
  readonly group: number
  readonly first: number
  readonly end: number
  readonly partition: number
  /** Of the record at `first`; −1: not known. */
  readonly offset: number
  readonly appendTime: number | null
  /** Makes the error of each record; none when they were acknowledged. */
  readonly failure: (() => KafkaError) | undefined
  /** An earlier one of the same group. */
  readonly before: Fate | undefined
}

/** See the module. */
export class Places {
  /** Two words per record: group and index. */
  readonly #words: Int32Array
  readonly #fates = new Map<number, Fate>()
  #last: Fate | undefined

  constructor(count: number) {
    this.#words = new Int32Array(2 * count)
  }

  /** How many records there are. */
  get count(): number {
    return this.#words.length >> 1
  }

  /** The records from `from` on were placed; `answers` has group and index of each of `count` from `at` on. */
  set(from: number, answers: Int32Array, at: number, count: number): void {
    this.#words.set(answers.subarray(at, at + 2 * count), 2 * from)
  }

  /** Something became of records of a group. */
  add(fate: Omit<Fate, 'before'>): void {
    this.#fates.set(fate.group, { ...fate, before: this.#fates.get(fate.group) })
  }

  /** What became of the record at `position`; none when it was refused. */
  fate(position: number): Fate | undefined {
    const group = this.#words[2 * position]!
    const index = this.#words[2 * position + 1]!
    let fate = this.#last
    if (fate === undefined || fate.group !== group || index < fate.first || index >= fate.end) {
      fate = this.#fates.get(group)
      while (fate !== undefined && (index < fate.first || index >= fate.end)) fate = fate.before
      this.#last = fate
    }
    return fate
  }

  /** The index in its group of the record at `position`. */
  index(position: number): number {
    return this.#words[2 * position + 1]!
  }
}
