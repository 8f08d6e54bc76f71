/**
 * The questions of a rebalance: what the program has in hand is finished first, then its listeners run, then the engine
 * is answered, by what `ask` returns. The engine waits at most until the deadline.
 */
import type { KafkaError } from '../errors.ts'
import type { TopicPartition } from '../generated/operations.ts'
import { type Call, caller } from './calls.ts'
import { concerning } from './partitions.ts'
import type { Reader } from './reader.ts'
import { settleWithin } from './settle.ts'

/** What may be done when partitions come and go. What they throw ends the loop. */
export interface RebalanceListeners {
  /** Partitions came; nothing of them has been read. */
  onAssigned?: ((partitions: TopicPartition[]) => unknown) | undefined
  /** Partitions are about to be given up; nothing more of them is delivered. */
  onRevoked?: ((partitions: TopicPartition[]) => unknown) | undefined
  /** Partitions were taken from us, others may have them already. */
  onLost?: ((partitions: TopicPartition[]) => unknown) | undefined
}

/** See the module. */
export class Rebalances {
  listeners: RebalanceListeners = {}
  readonly #reader: Reader
  #tail: Promise<void> = Promise.resolve()
  /**
   * The program itself asked to leave, each time maybe in a handler or a loop's body: then other handlers are waited for,
   * and nothing else that is in hand.
   */
  readonly #leavers = new Set<{ caller: Call | undefined }>()
  readonly #onLeaving: (() => void)[] = []

  constructor(reader: Reader) {
    this.#reader = reader
  }

  /** Resolves when a question may be answered, after those before it. */
  ask(name: 'revoke' | 'assigned', partitions: TopicPartition[], deadlineMs: number): Promise<void> {
    this.#tail = this.#tail.then(() => this.#prepare(name, partitions, deadlineMs))
    return this.#tail
  }

  /** Partitions were lost. */
  lost(partitions: TopicPartition[]): void {
    this.#reader.loop?.paused?.(concerning(partitions), false)
    this.#tail = this.#tail.then(() => this.#call(this.listeners.onLost, partitions))
  }

  /** While `promise` is pending, questions come of the program's own wish to leave, which it had in `call`. */
  async leaving<T>(promise: Promise<T>, call = caller()): Promise<T> {
    const leaver = { caller: call }
    this.#leavers.add(leaver)
    for (const go of this.#onLeaving.splice(0)) go()
    try {
      return await promise
    } finally {
      this.#leavers.delete(leaver)
    }
  }

  async #prepare(name: 'revoke' | 'assigned', partitions: TopicPartition[], deadlineMs: number): Promise<void> {
    if (name === 'assigned') return await this.#call(this.listeners.onAssigned, partitions)
    await settleWithin(this.#inHand(partitions), deadlineMs)
    await this.#call(this.listeners.onRevoked, partitions)
  }

  /** Waits until the program asks for its next record, as that finishes the one in hand. */
  async #inHand(partitions: TopicPartition[]): Promise<void> {
    const { loop } = this.#reader
    if (this.#leavers.size === 0) {
      const emptied = loop?.emptied(concerning(partitions))
      if (emptied === undefined) return
      let left = false
      const leaving = new Promise<void>(resolve => this.#onLeaving.push(resolve)).then(() => {
        left = true
      })
      await Promise.race([emptied, leaving])
      if (!left) return
    }
    await loop?.quiet?.([...this.#leavers].map(({ caller }) => caller))
  }

  async #call(listener: ((partitions: TopicPartition[]) => unknown) | undefined, partitions: TopicPartition[]) {
    try {
      await listener?.(partitions)
    } catch (error) {
      this.#reader.raise(error as KafkaError)
    }
  }
}
