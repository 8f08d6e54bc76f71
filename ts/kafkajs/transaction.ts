/**
 * kafkajs' transactions. A transactional id has one producer in the engine, and that one codec: the first send of a transaction
 * decides. When it wants another codec than the producer has, a new producer of the same id takes over before anything was sent.
 */
import type { Producer as EngineProducer, Transaction as EngineTransaction } from '../index.ts'
import type { CompressionTypes } from './constants.ts'
import { KafkaJSNonRetriableError } from './errors.ts'
import { type How, NONE } from './options.ts'
import type { TopicOffsets } from './types/records.ts'

/** The transactional producer behind one of kafkajs'. */
export class Transactions {
  readonly #make: (how: How) => EngineProducer
  #producer: EngineProducer | undefined
  #compression: CompressionTypes = NONE
  #open: OpenTransaction | undefined

  /** `make`: makes the engine's producer. */
  constructor(make: (how: How) => EngineProducer) {
    this.#make = make
  }

  /** Begins one. */
  async begin(): Promise<OpenTransaction> {
    if (this.#open?.isActive) {
      throw new KafkaJSNonRetriableError(
        'There is already an ongoing transaction for this producer. Please end the transaction before beginning another.',
      )
    }
    const open = new OpenTransaction(this)
    this.#open = open
    try {
      await open.begin()
    } catch (error) {
      this.#open = undefined
      throw error
    }
    return open
  }

  /** The engine's transaction, on a producer with the codec of the one before. */
  beginEngine(): Promise<EngineTransaction> {
    this.#producer ??= this.#make({ acks: -1, timeout: undefined, compression: this.#compression })
    return this.#producer.beginTransaction()
  }

  /** The same on a producer with this codec; `unused` has sent nothing and is the engine's transaction if it fits. */
  async withCodec(compression: CompressionTypes, unused: EngineTransaction): Promise<EngineTransaction> {
    if (compression === this.#compression) return unused
    await unused.abort()
    await this.#producer?.close()
    this.#producer = undefined
    this.#compression = compression
    return await this.beginEngine()
  }
}

/** A transaction that has begun. */
export class OpenTransaction {
  readonly #of: Transactions
  #engine: Promise<EngineTransaction> | undefined
  #used = false
  #ended = false

  constructor(of: Transactions) {
    this.#of = of
  }

  get isActive(): boolean {
    return !this.#ended
  }

  async begin(): Promise<void> {
    this.#engine = this.#of.beginEngine()
    await this.#engine
  }

  /** The engine's transaction, to send with. */
  sending(compression: CompressionTypes): Promise<EngineTransaction> {
    if (!this.#used) {
      this.#used = true
      this.#engine = this.#engine!.then(unused => this.#of.withCodec(compression, unused))
    }
    return this.#engine!
  }

  /** Commits offsets in the name of a group, with no check of its generation: kafkajs has none. */
  async sendOffsets(groupId: string, topics: TopicOffsets[]): Promise<void> {
    this.#used = true
    const offsets = topics.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, offset }) => ({ topic, partition, offset: Number(offset) })),
    )
    await (await this.#engine!).commitOffsets({ group: { groupId }, offsets })
  }

  async commit(): Promise<void> {
    await this.#end(engine => engine.commit())
  }

  async abort(): Promise<void> {
    await this.#end(engine => engine.abort())
  }

  async #end(end: (engine: EngineTransaction) => Promise<void>): Promise<void> {
    const engine = await this.#engine!
    try {
      await end(engine)
    } finally {
      this.#ended = engine.ended
    }
  }
}
