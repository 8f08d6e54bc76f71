/**
 * kafkajs' instrumentation events: their names, and who listens. Nothing is made for an event that nobody listens to.
 */
import { EventEmitter } from 'node:events'
import { textOf } from '../internal/arguments.ts'
import { KafkaJSNonRetriableError } from './errors.ts'
import { stackOf } from './failure.ts'
import type { Logger } from './types/client.ts'
import type { AdminEvents, ConsumerEvents, InstrumentationEvent, ProducerEvents } from './types/events.ts'

const network = <P extends string>(part: P) =>
  ({
    CONNECT: `${part}.connect`,
    DISCONNECT: `${part}.disconnect`,
    REQUEST: `${part}.network.request`,
    REQUEST_TIMEOUT: `${part}.network.request_timeout`,
    REQUEST_QUEUE_SIZE: `${part}.network.request_queue_size`,
  }) as const

/** Events of `admin`. */
export const adminEvents: AdminEvents = network('admin')
/** Events of a producer. */
export const producerEvents: ProducerEvents = network('producer')
/** Events of a consumer. */
export const consumerEvents: ConsumerEvents = {
  ...network('consumer'),
  HEARTBEAT: 'consumer.heartbeat',
  COMMIT_OFFSETS: 'consumer.commit_offsets',
  GROUP_JOIN: 'consumer.group_join',
  FETCH_START: 'consumer.fetch_start',
  FETCH: 'consumer.fetch',
  START_BATCH_PROCESS: 'consumer.start_batch_process',
  END_BATCH_PROCESS: 'consumer.end_batch_process',
  STOP: 'consumer.stop',
  CRASH: 'consumer.crash',
  REBALANCING: 'consumer.rebalancing',
  RECEIVED_UNSUBSCRIBED_TOPICS: 'consumer.received_unsubscribed_topics',
}

let nextId = 0

/** Who listens to what. */
export class Instrumentation {
  readonly #emitter = new EventEmitter()
  readonly #part: string
  readonly #events: Readonly<Record<string, string>>
  readonly #logger: Logger

  constructor(part: string, events: Readonly<Record<string, string>>, logger: Logger) {
    this.#part = part
    this.#events = events
    this.#logger = logger
    this.#emitter.setMaxListeners(0)
  }

  /** Calls the listeners of an event; what they throw is logged. */
  emit(type: string, payload: unknown = undefined): void {
    if (this.#emitter.listenerCount(type) === 0) return
    this.#emitter.emit(type, { id: nextId++, type, timestamp: Date.now(), payload })
  }

  /** Listens; what is returned ends that. */
  on = (eventName: string, listener: (event: InstrumentationEvent<never>) => unknown): (() => void) => {
    if (!Object.values(this.#events).includes(eventName)) {
      const names = Object.keys(this.#events).map(name => `${this.#part}.events.${name}`)
      throw new KafkaJSNonRetriableError(`Event name should be one of ${names.join(', ')}`)
    }
    const call = async (event: InstrumentationEvent<never>) => {
      try {
        await listener(event)
      } catch (error) {
        this.#logger.error(`Failed to execute listener: ${textOf(error)}`, { eventName, stack: stackOf(error) })
      }
    }
    this.#emitter.on(eventName, call)
    return () => {
      this.#emitter.off(eventName, call)
    }
  }
}
