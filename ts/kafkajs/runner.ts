/**
 * What happens between `run` and `stop` of kafkajs' consumer: an engine's consumer, its batches given to the handlers, what
 * these resolve finished and committed, what they throw tried again.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { turn } from '../internal/pace.ts'
import { readers } from '../internal/sources.ts'
import { Part } from './batch.ts'
import type { Connection } from './connection.ts'
import { KafkaJSNonRetriableError, KafkaJSNumberOfRetriesExceeded } from './errors.ts'
import { errorOf, isTheirs, refusal, stackOf } from './failure.ts'
import type { Instrumentation } from './instrumentation.ts'
import { consumerEvents as events } from './instrumentation.ts'
import { type InHand, Lanes } from './lanes.ts'
import { Membership, type Subscribed } from './membership.ts'
import type { Logger } from './types/client.ts'
import type { ConsumerConfig, ConsumerRunConfig } from './types/consumer.ts'
import type { Offsets } from './types/records.ts'

/** Errors of these names are defects of the handler: trying again is no use. */
const UNRECOVERABLE = ['RangeError', 'ReferenceError', 'SyntaxError', 'TypeError']

/** What a runner works with. */
export interface Setting {
  connection: Connection
  config: ConsumerConfig
  subscribed: Subscribed
  run: ConsumerRunConfig
  instrumentation: Instrumentation
  logger: Logger
  /** There is a runner; it may not have joined yet. */
  made(runner: Runner): void
  onCrash(error: Error): void
}

/** See the module. */
export class Runner {
  running = false
  readonly membership: Membership
  readonly #setting: Setting
  readonly #lanes: Lanes
  /** Which handler code runs in: a `stop` awaited there does not wait for it. */
  readonly #within = new AsyncLocalStorage<InHand>()
  /** Failures in a row, by partition. */
  readonly #failures = new Map<string, number>()
  readonly #waits = new Set<() => void>()
  #looping: Promise<void> = Promise.resolve()
  #crashed = false

  /** Begins; resolves when it has joined its group or crashed. */
  static async start(setting: Setting): Promise<void> {
    const kafka = await setting.connection.open()
    const runner = new Runner(setting, new Membership(kafka, setting))
    setting.made(runner)
    await runner.#start()
  }

  private constructor(setting: Setting, membership: Membership) {
    this.#setting = setting
    this.membership = membership
    const limit = Math.max(1, setting.run.partitionsConsumedConcurrently ?? 1)
    const reader = readers.get(membership.consumer)!
    // What fails beside the handlers is a defect, or the engine's end: it is told, and stops nobody else's program.
    const handle = (inHand: InHand, start: number) =>
      this.#handle(inHand, start).catch(error => this.#crash(setting.connection.theirs(error)))
    this.#lanes = new Lanes(reader, limit, (inHand, start) => this.#within.run(inHand, handle, inHand, start))
    membership.onMoved = (topic, partition) => this.#lanes.moved(topic, partition)
    membership.onLost = concerns => this.#lanes.lost(concerns)
  }

  /** Ends: handlers that run are waited for, unless one of them asks. */
  async stop(): Promise<void> {
    this.#end()
    await this.#lanes.ended(this.#within.getStore())
    await this.membership.leave()
    if (this.#within.getStore() === undefined) await this.#looping
  }

  /** Commits these offsets; nothing when it has stopped. */
  async commitOffsets(offsets: Parameters<Membership['commit']>[0]): Promise<void> {
    if (this.running) await this.membership.commit(offsets)
  }

  async #start(): Promise<void> {
    this.running = true
    const joined = this.membership.subscribe()
    let begun = 0
    const { instrumentation } = this.#setting
    const waiting = {
      begins: () => {
        begun = Date.now()
        instrumentation.emit(events.FETCH_START, { nodeId: -1 })
      },
      ends: () => instrumentation.emit(events.FETCH, { numberOfBatches: 0, duration: Date.now() - begun, nodeId: -1 }),
    }
    this.#looping = this.#lanes.run(waiting).catch(error => this.#crash(this.#setting.connection.theirs(error)))
    await Promise.race([joined, this.#looping])
  }

  #end(): void {
    this.running = false
    this.#lanes.stop()
    for (const wake of this.#waits) wake()
  }

  #crash(error: Error): void {
    if (this.#crashed || !this.running) return
    this.#crashed = true
    this.#end()
    this.#setting.onCrash(error)
  }

  /** Gives a chunk to the handler until all of it is resolved. */
  async #handle(inHand: InHand, start: number): Promise<void> {
    const { chunk } = inHand
    const { topic, partition } = chunk
    const { eachMessage, eachBatch } = this.#setting.run
    const key = `${partition}/${topic}`
    for (let at = start; at < chunk.count && this.running; at = Math.max(at, chunk.progress.finished)) {
      const part = new Part(chunk, at)
      this.membership.offsets.begins(topic, partition, part.firstOffset)
      const began = Date.now()
      this.#setting.instrumentation.emit(events.START_BATCH_PROCESS, part.event())
      try {
        if (eachMessage) await this.#eachMessage(inHand, part)
        else if (eachBatch) await this.#eachBatch(inHand, part)
        else this.#resolve(inHand, part, part.lastOffset)
        this.#failures.delete(key)
        const duration = Date.now() - began
        this.#setting.instrumentation.emit(events.END_BATCH_PROCESS, { ...part.event(), duration })
        await this.#autoCommit()
      } catch (error) {
        await this.#autoCommit().catch(() => {})
        if (!(await this.#again(key, inHand, error as Error))) return
      }
      if (chunk.progress.revoked) return this.#rewind(inHand, at)
      if (chunk.progress.finished <= at) await turn()
    }
  }

  async #eachMessage(inHand: InHand, part: Part): Promise<void> {
    const { chunk } = inHand
    const { topic, partition } = chunk
    const heartbeat = async () => {}
    const pause = () => this.membership.pauseOne(topic, partition)
    for (let at = part.start; at < chunk.count && this.running; at++) {
      if (!chunk.progress.step(at + 1)) return
      const message = part.message(at)
      try {
        await this.#setting.run.eachMessage!({ topic, partition, message, heartbeat, pause })
      } catch (thrown) {
        throw this.#failed('eachMessage', { topic, partition, offset: message.offset }, errorOf(thrown))
      }
      this.#resolve(inHand, part, Number(message.offset))
      await this.#autoCommitIfNecessary()
    }
  }

  async #eachBatch(inHand: InHand, part: Part): Promise<void> {
    const { chunk } = inHand
    const { topic, partition, count } = chunk
    // All of it is given to the handler: what it leaves is put back by `#rewind`.
    if (!chunk.progress.step(count)) return
    try {
      await this.#setting.run.eachBatch!({
        batch: part.batch(),
        resolveOffset: offset => this.#resolve(inHand, part, Number(offset)),
        heartbeat: async () => {
          if (inHand.givenUp) throw refusal('REBALANCE_IN_PROGRESS', 'The group is rebalancing, so a rejoin is needed')
        },
        pause: () => this.membership.pauseOne(topic, partition),
        commitOffsetsIfNecessary: offsets => this.#commitIfNecessary(offsets),
        uncommittedOffsets: () => ({ topics: this.membership.offsets.uncommitted() }),
        isRunning: () => this.running,
        isStale: () => inHand.moved || inHand.givenUp,
      })
    } catch (thrown) {
      throw this.#failed('eachBatch', { topic, partition, offset: String(part.firstOffset) }, errorOf(thrown))
    }
    if (this.#setting.run.eachBatchAutoResolve ?? true) this.#resolve(inHand, part, part.lastOffset)
  }

  /** The record at `offset`, and all before it, are done. */
  #resolve({ chunk, moved }: InHand, part: Part, offset: number): void {
    if (moved) return
    chunk.progress.finishTo(part.behind(offset))
    this.membership.offsets.resolve(chunk.topic, chunk.partition, offset + 1)
  }

  /** What a handler that was paused has left is read again, once it is resumed. */
  #rewind({ chunk, givenUp, moved }: InHand, start: number): void {
    const { finished, stepped, count } = chunk.progress
    const next = Math.max(start, finished)
    if (givenUp || moved || next >= Math.min(stepped, count) || !this.running) return
    this.membership.putBack(chunk.topic, chunk.partition, new Part(chunk, next).firstOffset)
  }

  /** A handler has failed: whether it is called again with what is left, after a pause. */
  async #again(key: string, inHand: InHand, error: Error): Promise<boolean> {
    if (inHand.givenUp || !this.running) return false
    const { connection } = this.#setting
    const { retries, initialRetryTime, maxRetryTime } = connection.patience
    const failures = this.#failures.get(key) ?? 0
    const retryTime = Math.min(initialRetryTime * 2 ** failures, maxRetryTime)
    const { retriable } = error as { retriable?: boolean }
    if (retriable === false || UNRECOVERABLE.includes(error.name)) {
      this.#crash(new KafkaJSNonRetriableError(error, { cause: (error.cause as Error | undefined) ?? error }))
      return false
    }
    if (failures >= retries) {
      this.#crash(new KafkaJSNumberOfRetriesExceeded(error, { retryCount: failures, retryTime }))
      return false
    }
    this.#failures.set(key, failures + 1)
    await this.#pause(retryTime)
    return this.running
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const done = () => {
        clearTimeout(timer)
        this.#waits.delete(done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#waits.add(done)
    })
  }

  /** Logs what a handler has thrown, and returns it. */
  #failed(what: string, where: object, error: Error): Error {
    if (!isTheirs(error))
      this.#setting.logger.error(`Error when calling ${what}`, { ...where, stack: stackOf(error), error })
    return error
  }

  async #commitIfNecessary(offsets: Offsets | undefined): Promise<void> {
    if (offsets === undefined) return await this.#commitIfDue()
    const list = offsets.topics.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, offset }) => ({ topic, partition, offset: Number(offset) })),
    )
    await this.membership.commit(list)
  }

  async #commitIfDue(): Promise<void> {
    const { autoCommitInterval = null, autoCommitThreshold = null } = this.#setting.run
    if (this.membership.offsets.isDue(autoCommitInterval, autoCommitThreshold)) await this.membership.commit()
  }

  async #autoCommitIfNecessary(): Promise<void> {
    if (this.#setting.run.autoCommit ?? true) await this.#commitIfDue()
  }

  async #autoCommit(): Promise<void> {
    if (this.#setting.run.autoCommit ?? true) await this.membership.commit()
  }
}
