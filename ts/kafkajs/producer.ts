/**
 * kafkajs' producer. `acks`, `timeout` and `compression` are options of each call there and of a producer in the engine: there is
 * one of the engine's producers for each combination in use, made when it is first needed and closed by `disconnect`. Records
 * keep their order among those of the same combination.
 */
import type { Producer as EngineProducer, Kafka } from '../index.ts'
import { Connection } from './connection.ts'
import { KafkaJSError, KafkaJSNonRetriableError } from './errors.ts'
import { Instrumentation, producerEvents } from './instrumentation.ts'
import { type How, NONE, producerOptions } from './options.ts'
import { Partitioners } from './partitioners.ts'
import { checked, landed, type Partition, records } from './sending.ts'
import { Topics } from './topics.ts'
import { type OpenTransaction, Transactions } from './transaction.ts'
import type { KafkaConfig, Logger } from './types/client.ts'
import type { Producer, ProducerBatch, ProducerConfig, ProducerRecord, RecordMetadata } from './types/records.ts'

/** Makes a producer. */
export function createProducer(config: KafkaConfig, own: ProducerConfig, rootLogger: Logger): Producer {
  const producer = new CompatibleProducer(config, own, rootLogger.namespace('Producer'))
  const { events, on } = producer
  return {
    connect: () => producer.connect(),
    disconnect: () => producer.disconnect(),
    isIdempotent: () => own.idempotent ?? false,
    events,
    on: on as Producer['on'],
    send: record => producer.send(record),
    sendBatch: batch => producer.sendBatch(batch),
    transaction: () => producer.transaction(),
    logger: () => producer.logger,
  }
}

/** What records are given to. */
type Sends = Pick<EngineProducer, 'sendBatch'>
type Status = 'connected' | 'disconnecting' | 'disconnected'

class CompatibleProducer {
  readonly events = producerEvents
  readonly logger: Logger
  readonly on: Instrumentation['on']
  readonly #config: ProducerConfig
  readonly #connection: Connection
  readonly #instrumentation: Instrumentation
  /** Chooses partitions; those of keys the engine does by itself, if it can. */
  readonly #partitioner: { choose: Partition; keys: 'own' | 'engine' }
  readonly #producers = new Map<string, EngineProducer>()
  #status: Status = 'disconnected'
  #kafka: Kafka | undefined
  #topics: Topics | undefined
  #transactions: Transactions | undefined

  constructor(config: KafkaConfig, own: ProducerConfig, logger: Logger) {
    const { createPartitioner, idempotent, retry = config.retry, metadataMaxAge } = own
    if (idempotent && retry?.retries !== undefined && retry.retries < 1) {
      throw new KafkaJSNonRetriableError('Idempotent producer must allow retries to protect against transient errors')
    }
    this.#config = own
    this.logger = logger
    this.#connection = new Connection(config, logger, own.retry, metadataMaxAge)
    this.#instrumentation = new Instrumentation('producer', producerEvents, logger)
    this.on = this.#instrumentation.on
    const create = createPartitioner ?? Partitioners.DefaultPartitioner
    this.#partitioner = { choose: create(), keys: create === Partitioners.DefaultPartitioner ? 'engine' : 'own' }
  }

  async connect(): Promise<void> {
    await this.#connection.connect()
    const kafka = await this.#connection.open()
    this.#kafka = kafka
    const { metadataMaxAge, allowAutoTopicCreation = true } = this.#config
    const waitMs = this.#connection.patience.totalMs
    this.#topics ??= new Topics(kafka, { maxAgeMs: metadataMaxAge, create: allowAutoTopicCreation, waitMs })
    this.#transactions ??= new Transactions(how => this.#engine(kafka, how, this.#config.transactionalId))
    this.#status = 'connected'
    this.#instrumentation.emit(producerEvents.CONNECT)
  }

  async disconnect(): Promise<void> {
    this.#status = 'disconnecting'
    try {
      await this.#connection.close()
    } finally {
      this.#producers.clear()
      this.#topics = undefined
      this.#transactions = undefined
      this.#status = 'disconnected'
    }
    this.#instrumentation.emit(producerEvents.DISCONNECT)
  }

  async send({ topic, messages, ...how }: ProducerRecord): Promise<RecordMetadata[]> {
    return await this.sendBatch({ ...how, topicMessages: [{ topic, messages }] })
  }

  async sendBatch(batch: ProducerBatch): Promise<RecordMetadata[]> {
    return await this.#send(batch, this.#config.idempotent ?? false, how => {
      const key = `${how.acks}/${how.timeout}/${how.compression}`
      const producer = this.#producers.get(key) ?? this.#engine(this.#kafka!, how)
      this.#producers.set(key, producer)
      return producer
    })
  }

  async transaction(): ReturnType<Producer['transaction']> {
    if (!this.#config.transactionalId) {
      throw new KafkaJSNonRetriableError('Must provide transactional id for transactional producer')
    }
    this.#check()
    const open: OpenTransaction = await this.#connection.tried(this.#transactions!.begin())
    const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
      if (!open.isActive) throw new KafkaJSNonRetriableError('Cannot continue to use transaction once ended')
      return await this.#connection.tried(work())
    }
    const sendBatch = (batch: ProducerBatch) =>
      guarded(() => this.#send(batch, true, ({ compression }) => open.sending(compression)))
    return {
      send: ({ topic, messages, ...how }) => sendBatch({ ...how, topicMessages: [{ topic, messages }] }),
      sendBatch,
      sendOffsets: ({ consumerGroupId, topics }) => guarded(() => open.sendOffsets(consumerGroupId, topics)),
      commit: () => guarded(() => open.commit()),
      abort: () => guarded(() => open.abort()),
      isActive: () => open.isActive,
    }
  }

  /** Sends with the producer, or within the transaction, that `by` gives for how the records are to go. */
  async #send(
    batch: ProducerBatch,
    idempotent: boolean,
    by: (how: How) => Sends | Promise<Sends>,
  ): Promise<RecordMetadata[]> {
    const topicMessages = checked(batch, idempotent)
    this.#check()
    const { acks = -1, timeout, compression = NONE } = batch
    try {
      const given = await Promise.all(
        topicMessages.map(async one => ({
          topic: one.topic,
          messages: await records(one, this.#topics!, this.#partitioner),
        })),
      )
      this.#check()
      const sender = await by({ acks, timeout, compression })
      const sent = await Promise.all(given.map(one => sender.sendBatch(one)))
      return acks === 0 ? [] : sent.flatMap(landed)
    } catch (error) {
      for (const { topic } of topicMessages) this.#topics?.forget(topic)
      throw this.#connection.theirs(error)
    }
  }

  #engine(kafka: Kafka, how: How, transactionalId?: string): EngineProducer {
    const options = producerOptions(this.#config, how, this.#connection.patience)
    return kafka.producer(transactionalId === undefined ? options : { ...options, transactionalId })
  }

  #check(): void {
    if (this.#status === 'disconnecting') {
      throw new KafkaJSNonRetriableError(
        `The producer is disconnecting; therefore, it can't safely accept messages anymore`,
      )
    }
    if (this.#status === 'disconnected') throw new KafkaJSError('The producer is disconnected')
  }
}
