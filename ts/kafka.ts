/**
 * The entry: one cluster, and what is done with it.
 */
import { Admin } from './admin.ts'
import type { ConsumerOptions } from './assignor.ts'
import { Consumer } from './consumer.ts'
import type { KafkaError } from './errors.ts'
import type { Operations, Statistics } from './generated/operations.ts'
import type { ProducerOptions } from './generated/options.ts'
import { checkTimeout, optionsOf, plainOptions } from './internal/arguments.ts'
import { type Environment, theEnvironment } from './internal/environment.ts'
import { closed } from './internal/failure.ts'
import { Security, tlsMaterial } from './internal/security.ts'
import { settleWithin } from './internal/settle.ts'
import { Told } from './internal/told.ts'
import type { Logger } from './logger.ts'
import { Partition } from './partition.ts'
import { Producer } from './producer.ts'
import type { CloseOptions } from './records.ts'
import type { ClientOptions, TlsMaterial } from './security.ts'
import type { Origin } from './tracing.ts'

/** Options of a client: those of the table, and functions. */
export interface KafkaOptions extends ClientOptions {
  /**
   * Takes the lines of the log from `logLevel` on. It is called from the event loop, never in the middle of a call.
   * @defaultValue one that writes to stderr
   */
  logger?: Logger | undefined
  /** Takes the statistics of each producer and consumer every `statisticsIntervalMs`, which must be set with it. */
  onStats?: ((statistics: Statistics) => void) | undefined
}

/**
 * One cluster. Its producers, consumers and admin calls share what is known of it; nothing is connected before it is
 * needed.
 *
 * @example
 * await using kafka = new Kafka({ brokers: 'localhost:9092', clientId: 'orders' })
 */
export class Kafka implements AsyncDisposable {
  readonly #environment: Environment
  readonly #handle: number
  readonly #origin: Origin
  readonly #children = new Set<{ close(options?: CloseOptions): Promise<void> }>()
  #fatal: KafkaError | undefined
  #closing: Promise<void> | undefined

  /** @throws InvalidConfigurationError naming the option, its value and what is allowed */
  constructor(options: KafkaOptions) {
    const told = new Told(options)
    const security = new Security(told.options)
    const plain = plainOptions(security.options)
    told.check(plain)
    this.#origin = told.origin
    this.#environment = theEnvironment()
    this.#handle = this.#environment.open('client', 0, plain)
    this.#environment.listen(this.#handle, {
      client: this.#handle,
      event: text => told.event(text),
      question: name => security.answer(name),
      poisoned: error => {
        this.#fatal = error
      },
    })
  }

  /** A producer. @throws InvalidConfigurationError naming the option, its value and what is allowed */
  producer(options: ProducerOptions = {}): Producer {
    this.#open()
    const producer: Producer = new Producer(this.#environment, this.#handle, this.#origin, options, () =>
      this.#children.delete(producer),
    )
    this.#children.add(producer)
    return producer
  }

  /** A consumer. @throws InvalidConfigurationError naming the option, its value and what is allowed */
  consumer(options: ConsumerOptions = {}): Consumer {
    this.#open()
    const consumer: Consumer = new Consumer(this.#environment, this.#handle, this.#origin, options, () =>
      this.#children.delete(consumer),
    )
    this.#children.add(consumer)
    return consumer
  }

  /** One partition as a log, for those who keep their own offsets: no group, no position, nothing gathered or read ahead. */
  partition(topic: string, partition: number): Partition {
    this.#open()
    return new Partition(this.#environment, this.#handle, topic, partition)
  }

  /** The admin operations. */
  admin(): Admin {
    this.#open()
    return new Admin(this.#environment, this.#handle)
  }

  /**
   * Takes other certificates and keys for all connections from the next one on, before those at hand expire; open ones live on with theirs. When
   * they cannot be used, nothing changes. Not needed for those given as files: these are read again when they have changed.
   *
   * @throws InvalidConfigurationError what is wrong with them, or that the client is without TLS
   * @example
   * await kafka.setTls({ cert: await readFile('client.pem'), key: await readFile('client.key') })
   */
  async setTls(material: TlsMaterial): Promise<void> {
    this.#open()
    await this.#environment.call(
      this.#handle,
      'client.setTls',
      tlsMaterial(material) as Operations['client.setTls']['request'],
    )
  }

  /**
   * What each open producer and consumer has done and holds now, in the words of librdkafka's statistics; `JSON.stringify` makes
   * its JSON of it. Windows cover the time since the last call.
   */
  async statistics(): Promise<Statistics[]> {
    this.#open()
    return await this.#environment.call(this.#handle, 'client.statistics', {})
  }

  /** The same as text for Prometheus (exposition format 0.0.4, `text/plain; version=0.0.4`): what a scrape is answered with. */
  async metrics(): Promise<string> {
    this.#open()
    return await this.#environment.call(this.#handle, 'client.metrics', {})
  }

  /** Closes all its producers and consumers, then its connections. Always settles; a second call waits for the first. */
  async close(options: CloseOptions = {}): Promise<void> {
    const timeout = checkTimeout(optionsOf(options, ['timeout']).timeout)
    this.#closing ??= this.#close({ timeout })
    await this.#closing
  }

  /** Same as `close()`, so that `await using` works. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(options: CloseOptions): Promise<void> {
    const results = await Promise.allSettled([...this.#children].map(child => child.close(options)))
    await settleWithin(this.#environment.call(this.#handle, 'client.close', {}), options.timeout, 1_000)
    this.#environment.unlisten(this.#handle)
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  #open(): void {
    if (this.#fatal !== undefined) throw this.#fatal
    if (this.#closing !== undefined) throw closed('client')
  }
}
