/**
 * kafkajs' entry: options of the cluster, and what is made with them.
 */
import { createAdmin } from './admin.ts'
import { logLevel } from './constants.ts'
import { createConsumer } from './consumer.ts'
import { createLogger } from './logger.ts'
import { checkConfig } from './options.ts'
import { createProducer } from './producer.ts'
import type { Admin, AdminConfig } from './types/admin.ts'
import type { KafkaConfig, Logger } from './types/client.ts'
import type { Consumer, ConsumerConfig } from './types/consumer.ts'
import type { Producer, ProducerConfig } from './types/records.ts'

/**
 * A client with kafkajs' API on Dohle's engine.
 *
 * @example
 * import { Kafka } from 'dohle/kafkajs' // before: from 'kafkajs'
 * const kafka = new Kafka({ clientId: 'orders', brokers: ['localhost:9092'] })
 */
export class Kafka {
  readonly #config: KafkaConfig
  readonly #logger: Logger

  /** @throws KafkaJSNonRetriableError for options that the engine has no counterpart of, such as `socketFactory` */
  constructor(config: KafkaConfig) {
    checkConfig(config)
    this.#config = config
    this.#logger = createLogger(config.logLevel ?? logLevel.INFO, config.logCreator)
  }

  /** A producer. */
  producer(config: ProducerConfig = {}): Producer {
    return createProducer(this.#config, config, this.#logger)
  }

  /** A consumer. */
  consumer(config: ConsumerConfig): Consumer {
    return createConsumer(this.#config, config, this.#logger)
  }

  /** An admin client. */
  admin(config: AdminConfig = {}): Admin {
    return createAdmin(this.#config, config, this.#logger)
  }

  /** The logger. */
  logger(): Logger {
    return this.#logger
  }
}
