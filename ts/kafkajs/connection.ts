/**
 * The engine's client behind one producer, consumer or admin client: as in kafkajs each has connections of its own, from
 * `connect` to `disconnect`.
 */
import { textOf } from '../internal/arguments.ts'
import { Kafka } from '../kafka.ts'
import { KafkaJSNonRetriableError } from './errors.ts'
import { theirs } from './failure.ts'
import { clientOptions, type Patience, patience } from './options.ts'
import type { KafkaConfig, Logger, RetryOptions } from './types/client.ts'

/** See the module. */
export class Connection {
  /** How failures are tried again. */
  readonly patience: Patience
  readonly #config: KafkaConfig
  readonly #logger: Logger
  readonly #metadataMaxAge: number | undefined
  #opening: Promise<Kafka> | undefined

  /** `logger`: the lines of the engine's log go there, too. */
  constructor(config: KafkaConfig, logger: Logger, retry: RetryOptions | undefined, metadataMaxAge?: number) {
    this.#config = config
    this.#logger = logger.namespace('Engine')
    this.#metadataMaxAge = metadataMaxAge
    this.patience = patience(config, retry)
  }

  /** Whether it is open or opens. */
  get isOpen(): boolean {
    return this.#opening !== undefined
  }

  /** The engine's client; made if there is none. Asks no broker anything. */
  open(): Promise<Kafka> {
    this.#opening ??= this.#open().catch(error => {
      this.#opening = undefined
      throw theirs(error)
    })
    return this.#opening
  }

  /** Resolves when a broker has answered. */
  async connect(): Promise<void> {
    const kafka = await this.open()
    await this.tried(kafka.admin().describeCluster({ timeoutMs: this.patience.totalMs }))
  }

  /** Closes all that was made with it. */
  async close(): Promise<void> {
    const opening = this.#opening
    this.#opening = undefined
    await this.tried((await opening)?.close() ?? Promise.resolve())
  }

  /** As `promise`, with kafkajs' errors. */
  async tried<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise
    } catch (error) {
      throw this.theirs(error)
    }
  }

  /** An error of the engine as kafkajs' own. */
  theirs(error: unknown): Error {
    const { retries, initialRetryTime } = this.patience
    return theirs(error, { retryCount: retries, retryTime: initialRetryTime })
  }

  async #open(): Promise<Kafka> {
    const { brokers } = this.#config
    const found = typeof brokers === 'function' ? await fromFunction(brokers) : brokers
    if (!found) throw new KafkaJSNonRetriableError('Failed to connect: brokers should not be null')
    if (!Array.isArray(found)) throw new KafkaJSNonRetriableError('Failed to connect: brokers should be an array')
    if (found.length === 0) throw new KafkaJSNonRetriableError('Failed to connect: brokers array is empty')
    const options = clientOptions(this.#config, [...found], this.patience, this.#metadataMaxAge)
    return new Kafka({ ...options, logger: this.#logger })
  }
}

async function fromFunction(brokers: () => string[] | Promise<string[]>): Promise<string[]> {
  try {
    return await brokers()
  } catch (error) {
    const wrapped = `Failed to connect: "config.brokers" threw: ${textOf(error)}`
    throw new KafkaJSNonRetriableError(wrapped, { cause: error as Error })
  }
}
