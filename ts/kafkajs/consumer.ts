/**
 * kafkajs' consumer: `subscribe`, then `run` with a handler. Each run has a consumer of the engine's own.
 */
import { types } from 'node:util'
import { textOf } from '../internal/arguments.ts'
import { Connection } from './connection.ts'
import { type KafkaJSError, KafkaJSNonRetriableError } from './errors.ts'
import { describeGroups } from './groups.ts'
import { consumerEvents as events, Instrumentation } from './instrumentation.ts'
import type { Subscribed } from './membership.ts'
import { Pauses, type Selection } from './pauses.ts'
import { Runner } from './runner.ts'
import type { KafkaConfig, Logger } from './types/client.ts'
import type {
  Consumer,
  ConsumerConfig,
  ConsumerRunConfig,
  GroupDescription,
  TopicPartitionOffset,
} from './types/consumer.ts'

const NOT_RUNNING = 'Consumer group was not initialized, consumer#run must be called first'
const RETRIES = 5

/** Makes a consumer. */
export function createConsumer(config: KafkaConfig, own: ConsumerConfig, rootLogger: Logger): Consumer {
  const consumer = new CompatibleConsumer(config, own, rootLogger.namespace('Consumer'))
  return {
    connect: () => consumer.connect(),
    disconnect: () => consumer.disconnect(),
    subscribe: subscription => consumer.subscribe(subscription),
    stop: () => consumer.stop(),
    run: run => consumer.run(run),
    commitOffsets: async offsets => consumer.commitOffsets(offsets),
    seek: to => consumer.seek(to),
    describeGroup: () => consumer.describeGroup(),
    pause: selection => consumer.pause(selection),
    paused: () => consumer.paused(),
    resume: selection => consumer.resume(selection),
    on: consumer.instrumentation.on as Consumer['on'],
    logger: () => consumer.logger,
    events,
  }
}

class CompatibleConsumer {
  readonly logger: Logger
  readonly instrumentation: Instrumentation
  readonly #config: ConsumerConfig
  readonly #connection: Connection
  readonly #topics = new Map<string, { fromBeginning: boolean }>()
  readonly #subscribed: Subscribed = { topics: this.#topics, pauses: new Pauses(), seeks: new Map() }
  /** From `run` to `stop`. */
  #active = false
  #runner: Runner | undefined
  #stopping: Promise<void> | undefined
  #restart: NodeJS.Timeout | undefined

  constructor(config: KafkaConfig, own: ConsumerConfig, logger: Logger) {
    const { groupId, heartbeatInterval = 3_000, sessionTimeout = 30_000, metadataMaxAge } = own
    if (!groupId) throw new KafkaJSNonRetriableError('Consumer groupId must be a non-empty string.')
    if (heartbeatInterval >= sessionTimeout) {
      throw new KafkaJSNonRetriableError(
        `Consumer heartbeatInterval (${heartbeatInterval}) must be lower than sessionTimeout (${sessionTimeout}). It is recommended to set heartbeatInterval to approximately a third of the sessionTimeout.`,
      )
    }
    this.#config = own
    this.logger = logger
    this.instrumentation = new Instrumentation('consumer', events, logger)
    // As there: without retries of its own a consumer has these, whatever the client says.
    this.#connection = new Connection(config, logger, own.retry ?? { retries: RETRIES }, metadataMaxAge)
  }

  async connect(): Promise<void> {
    await this.#connection.connect()
    this.instrumentation.emit(events.CONNECT)
  }

  async disconnect(): Promise<void> {
    await this.stop()
    await this.#connection.close()
    this.instrumentation.emit(events.DISCONNECT)
  }

  async subscribe(subscription: Parameters<Consumer['subscribe']>[0]): Promise<void> {
    const {
      topic,
      topics,
      fromBeginning = false,
    } = subscription as {
      topic?: string | RegExp
      topics?: (string | RegExp)[]
      fromBeginning?: boolean
    }
    if (this.#active) throw new KafkaJSNonRetriableError('Cannot subscribe to topic while consumer is running')
    if (!topic && !topics) throw new KafkaJSNonRetriableError('Missing required argument "topics"')
    if (topics != null && !Array.isArray(topics))
      throw new KafkaJSNonRetriableError('Argument "topics" must be an array')
    const wanted = topics ?? [topic!]
    for (const one of wanted) {
      if (typeof one !== 'string' && !types.isRegExp(one)) {
        throw new KafkaJSNonRetriableError(
          `Invalid topic ${one} (${typeof one}), the topic name has to be a String or a RegExp`,
        )
      }
    }
    const existing = wanted.some(one => typeof one !== 'string') ? await this.#listTopics() : []
    for (const one of wanted) {
      const names = typeof one === 'string' ? [one] : existing.filter(name => one.test(name))
      for (const name of names) this.#topics.set(name, { fromBeginning })
    }
  }

  async run(run: ConsumerRunConfig = {}): Promise<void> {
    if (this.#active) {
      this.logger.warn('consumer#run was called, but the consumer is already running', {
        groupId: this.#config.groupId,
      })
      return
    }
    this.#active = true
    await this.#start(run)
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop().finally(() => {
      this.#stopping = undefined
    })
    return this.#stopping
  }

  async commitOffsets(given: Parameters<Consumer['commitOffsets']>[0] = []): Promise<void> {
    const offsets = given.map(({ topic, partition, offset, metadata = null }) => {
      checkPartition({ topic, partition })
      if (metadata !== null && typeof metadata !== 'string') {
        throw new KafkaJSNonRetriableError(`Invalid offset metadata, expected string or null, received ${metadata}`)
      }
      const at = offsetOf(offset)
      if (at < 0) throw new KafkaJSNonRetriableError('Offset must not be a negative number')
      return { topic, partition: Number(partition), offset: at, ...(metadata === null ? {} : { metadata }) }
    })
    this.#checkRunning()
    await this.#runner?.commitOffsets(offsets)
  }

  seek({ topic, partition, offset }: TopicPartitionOffset): void {
    checkPartition({ topic, partition })
    const at = offsetOf(offset)
    if (at < 0 && at !== -1 && at !== -2) throw new KafkaJSNonRetriableError('Offset must not be a negative number')
    this.#checkRunning()
    const to = {
      topic,
      partition: Number(partition),
      offset: at === -1 ? 'latest' : at === -2 ? 'earliest' : at,
    } as const
    if (this.#runner !== undefined) this.#runner.membership.seek(to)
    else this.#subscribed.seeks.set(`${to.partition}/${topic}`, to)
  }

  pause(selection: Selection = []): void {
    this.#checkSelection(selection, 'pause')
    if (this.#runner !== undefined) this.#runner.membership.pause(selection)
    else this.#subscribed.pauses.pause(selection)
  }

  resume(selection: Selection = []): void {
    this.#checkSelection(selection, 'resume')
    if (this.#runner !== undefined) this.#runner.membership.resume(selection)
    else this.#subscribed.pauses.resume(selection)
  }

  paused(): ReturnType<Consumer['paused']> {
    return this.#runner?.membership.paused() ?? []
  }

  async describeGroup(): Promise<GroupDescription> {
    const { groups } = await describeGroups(this.#connection, [this.#config.groupId])
    return groups[0]!
  }

  async #start(run: ConsumerRunConfig): Promise<void> {
    const { groupId } = this.#config
    this.logger.info('Starting', { groupId })
    const setting = {
      connection: this.#connection,
      config: this.#config,
      subscribed: this.#subscribed,
      run,
      instrumentation: this.instrumentation,
      logger: this.logger,
      made: (runner: Runner) => {
        this.#runner = runner
      },
      onCrash: (error: Error) => {
        this.#crashed(error, run).catch(({ message, stack }) => this.logger.error(message, { groupId, stack }))
      },
    }
    await Runner.start(setting)
  }

  async #stop(): Promise<void> {
    const { groupId } = this.#config
    clearTimeout(this.#restart)
    const runner = this.#runner
    this.#runner = undefined
    if (this.#active) {
      await runner?.stop()
      this.#active = false
      this.instrumentation.emit(events.STOP)
    }
    this.logger.info('Stopped', { groupId })
  }

  async #crashed(error: Error, run: ConsumerRunConfig): Promise<void> {
    const { groupId, retry } = this.#config
    const { retryCount, retryTime } = error as { retryCount?: number; retryTime?: number }
    this.logger.error(`Crash: ${error.name}: ${error.message}`, { groupId, retryCount, stack: error.stack })
    await this.disconnect()
    const retriable = error.name === 'KafkaJSNumberOfRetriesExceeded' || origin(error).retriable === true
    const restart = retriable && (await this.#mayRestart(error))
    this.instrumentation.emit(events.CRASH, { error, groupId, restart })
    if (!restart) return
    const pause = retryTime ?? retry?.initialRetryTime ?? this.#connection.patience.initialRetryTime
    this.logger.error(`Restarting the consumer in ${pause}ms`, { retryCount, retryTime: pause, groupId })
    this.#active = true
    this.#restart = setTimeout(() => {
      this.#start(run).catch(failure => this.#crashed(failure, run))
    }, pause)
  }

  async #mayRestart(error: Error): Promise<boolean> {
    const { retry, groupId } = this.#config
    if (!retry?.restartOnFailure) return true
    try {
      return await retry.restartOnFailure(error)
    } catch (failure) {
      this.logger.error(
        'Caught error when invoking user-provided "restartOnFailure" callback. Defaulting to restarting.',
        { error: textOf(failure) || failure, cause: error.message, groupId },
      )
      return true
    }
  }

  async #listTopics(): Promise<string[]> {
    const kafka = await this.#connection.open()
    const topics = await this.#connection.tried(kafka.admin().listTopics())
    return topics.map(({ topic }) => topic)
  }

  #checkRunning(): void {
    if (!this.#active) throw new KafkaJSNonRetriableError(NOT_RUNNING)
  }

  #checkSelection(selection: Selection, what: 'pause' | 'resume'): void {
    for (const one of selection) {
      if (!one?.topic) throw new KafkaJSNonRetriableError(`Invalid topic ${one?.topic || one}`)
      const { partitions } = one
      if (partitions === undefined || (Array.isArray(partitions) && !partitions.some(one => Number.isNaN(Number(one)))))
        continue
      throw new KafkaJSNonRetriableError(
        `Array of valid partitions required to ${what} specific partitions instead of ${partitions}`,
      )
    }
    this.#checkRunning()
  }
}

function checkPartition({ topic, partition }: { topic: string; partition: number }): void {
  if (!topic) throw new KafkaJSNonRetriableError(`Invalid topic ${topic}`)
  if (Number.isNaN(Number(partition)) || partition === undefined) {
    throw new KafkaJSNonRetriableError(`Invalid partition, expected a number received ${partition}`)
  }
}

function offsetOf(offset: string): number {
  try {
    const at = Number(BigInt(offset))
    if (Number.isSafeInteger(at)) return at
  } catch {}
  throw new KafkaJSNonRetriableError(`Invalid offset, expected a long received ${offset}`)
}

function origin(error: Error): { retriable?: boolean } {
  return error.cause instanceof Error ? origin(error.cause) : (error as KafkaJSError)
}
