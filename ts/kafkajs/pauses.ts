/**
 * What is paused: kafkajs keeps it by topic and partition, over rebalances, also for what is not assigned yet.
 */

interface State {
  all: boolean
  paused: Set<number>
  /** Exceptions from `all`. */
  resumed: Set<number>
}

/** Topics, or some of their partitions. */
export type Selection = readonly { topic: string; partitions?: number[] }[]

/** See the module. */
export class Pauses {
  readonly #topics = new Map<string, State>()

  pause(selection: Selection): void {
    for (const { topic, partitions } of selection) {
      const state = this.#state(topic)
      if (partitions === undefined) {
        Object.assign(state, { all: true, paused: new Set(), resumed: new Set() })
        continue
      }
      for (const partition of partitions) {
        state.paused.add(partition)
        state.resumed.delete(partition)
      }
    }
  }

  resume(selection: Selection): void {
    for (const { topic, partitions } of selection) {
      const state = this.#state(topic)
      if (partitions === undefined) {
        Object.assign(state, { all: false, paused: new Set(), resumed: new Set() })
        continue
      }
      for (const partition of partitions) {
        state.paused.delete(partition)
        if (state.all) state.resumed.add(partition)
      }
    }
  }

  has({ topic, partition }: { topic: string; partition: number }): boolean {
    const state = this.#topics.get(topic)
    return state !== undefined && ((state.all && !state.resumed.has(partition)) || state.paused.has(partition))
  }

  #state(topic: string): State {
    const known = this.#topics.get(topic)
    if (known !== undefined) return known
    const state = { all: false, paused: new Set<number>(), resumed: new Set<number>() }
    this.#topics.set(topic, state)
    return state
  }
}
