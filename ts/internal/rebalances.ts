/**
 * The questions of a rebalance: what the program has in hand is finished first, then its listeners run, then the engine
 * is answered, by what `ask` returns. The engine waits at most until the deadline.
 */
import type { KafkaError } from '../errors.ts'
import type { TopicPartition } from '../generated/operations.ts'
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
  /** The program itself asked to leave, maybe in a loop's body: then nothing in hand is waited for. */
  #leaving = 0
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
    this.#tail = this.#tail.then(() => this.#call(this.listeners.onLost, partitions))
  }

  /** While `promise` is pending, questions come of the program's own wish to leave. */
  async leaving<T>(promise: Promise<T>): Promise<T> {
    this.#leaving++
    for (const go of this.#onLeaving.splice(0)) go()
    try {
      return await promise
    } finally {
      this.#leaving--
    }
  }

  async #prepare(name: 'revoke' | 'assigned', partitions: TopicPartition[], deadlineMs: number): Promise<void> {
    if (name === 'assigned') return await this.#call(this.listeners.onAssigned, partitions)
    await this.#inHand(partitions, deadlineMs)
    await this.#call(this.listeners.onRevoked, partitions)
  }

  /** Waits until the program asks for its next record, as that finishes the one in hand. */
  async #inHand(partitions: TopicPartition[], deadlineMs: number): Promise<void> {
    if (this.#leaving > 0) return
    const emptied = this.#reader.loop?.emptied(concerning(partitions))
    if (emptied === undefined) return
    const leaving = new Promise<void>(resolve => this.#onLeaving.push(resolve))
    await settleWithin(Promise.race([emptied, leaving]), deadlineMs)
  }

  async #call(listener: ((partitions: TopicPartition[]) => unknown) | undefined, partitions: TopicPartition[]) {
    try {
      await listener?.(partitions)
    } catch (error) {
      this.#reader.raise(error as KafkaError)
    }
  }
}
