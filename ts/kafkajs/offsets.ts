/**
 * What handlers have resolved and what of it is committed, for `uncommittedOffsets` and `autoCommitThreshold`. What is
 * committed automatically the engine knows by itself.
 */
import type { TopicOffsets } from './types/records.ts'

interface Place {
  topic: string
  partition: number
  /** Where the partition was read from, or what is committed. */
  committed: number
  /** One more than what is resolved. */
  resolved: number
}

/** See the module. */
export class ResolvedOffsets {
  readonly #places = new Map<string, Place>()
  /** When offsets were committed last. */
  #committedAt = Date.now()

  /** A partition is read from `offset` on, unless it is known. */
  begins(topic: string, partition: number, offset: number): void {
    const key = `${partition}/${topic}`
    if (!this.#places.has(key)) this.#places.set(key, { topic, partition, committed: offset, resolved: offset })
  }

  /** Everything before `next` is resolved. */
  resolve(topic: string, partition: number, next: number): void {
    const place = this.#places.get(`${partition}/${topic}`)
    if (place !== undefined) place.resolved = next
  }

  /** Partitions are no longer ours, or are read from elsewhere. */
  forget(partitions: readonly { topic: string; partition: number }[]): void {
    for (const { topic, partition } of partitions) this.#places.delete(`${partition}/${topic}`)
  }

  /** What is resolved and not committed. */
  uncommitted(): TopicOffsets[] {
    const topics = new Map<string, TopicOffsets>()
    for (const { topic, partition, committed, resolved } of this.#places.values()) {
      if (resolved === committed) continue
      const of = topics.get(topic) ?? { topic, partitions: [] }
      of.partitions.push({ partition, offset: String(resolved) })
      topics.set(topic, of)
    }
    return [...topics.values()]
  }

  /** These are committed. */
  committed(topics: readonly TopicOffsets[]): void {
    for (const { topic, partitions } of topics) {
      for (const { partition, offset } of partitions) {
        const place = this.#places.get(`${partition}/${topic}`)
        if (place !== undefined) place.committed = Number(offset)
      }
    }
    this.#committedAt = Date.now()
  }

  /** Whether a commit is due by time or by number. */
  isDue(intervalMs: number | null, threshold: number | null): boolean {
    if (intervalMs !== null && Date.now() >= this.#committedAt + intervalMs) return true
    if (threshold === null) return false
    let count = 0
    for (const { committed, resolved } of this.#places.values()) count += resolved - committed
    return count >= threshold
  }
}
