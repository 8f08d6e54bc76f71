/**
 * `dohle/broker`: a Kafka-compatible broker inside this process, for the first minute and for tests.
 */
import type {
  BrokerAddFault,
  BrokerListener,
  BrokerStart,
  CallOptions,
  FaultHits,
  RunningBroker,
} from './generated/operations.ts'
import { bagOf, optionsOf } from './internal/arguments.ts'
import { type Environment, theEnvironment } from './internal/environment.ts'
import { aborted } from './internal/failure.ts'

export type {
  BrokerAuthorization,
  BrokerClientAuth,
  BrokerListener,
  BrokerLogLevel,
  BrokerMechanism,
  BrokerSasl,
  BrokerTls,
  BrokerUser,
  ExportReport,
  FaultAction,
  FaultApi,
  FaultCode,
  FaultHits,
  FaultWhen,
  ReplayDifference,
  ReplayReport,
} from './generated/operations.ts'
export {
  exportRecording,
  type ReplayOptions,
  replay,
  StandIn,
  type StandInOptions,
} from './recording.ts'

/** How a broker starts. */
export type BrokerOptions = BrokerStart

/** When a fault happens, and which. */
export type FaultRule = BrokerAddFault

/** A fault rule that was added. */
export class Fault {
  readonly #environment: Environment
  readonly #broker: number
  readonly #id: number

  /** @internal */
  constructor(environment: Environment, broker: number, id: number) {
    this.#environment = environment
    this.#broker = broker
    this.#id = id
  }

  /** How often it matched and acted. */
  hits(): FaultHits {
    return this.#environment.invoke(this.#broker, 'broker.faultHits', { id: this.#id })
  }

  /** Lets go the requests that it holds, and tells how many; it holds what it matches after. */
  release(): number {
    return this.#environment.invoke(this.#broker, 'broker.releaseFault', { id: this.#id })
  }

  /** Ends it and lets go what it holds; false when it had been removed before. */
  remove(): boolean {
    return this.#environment.invoke(this.#broker, 'broker.removeFault', { id: this.#id })
  }
}

/** What a broker does wrong on purpose, for tests of what its clients do then. */
export class Faults {
  readonly #environment: Environment
  readonly #broker: number

  /** @internal */
  constructor(environment: Environment, broker: number) {
    this.#environment = environment
    this.#broker = broker
  }

  /**
   * Adds a rule. Every rule that matches a request acts on it.
   *
   * @example
   * // The third Produce to `orders` is written, then answered with an error.
   * const action = { kind: 'error', code: 'REQUEST_TIMED_OUT', when: 'after' }
   * broker.faults.add({ api: 'Produce', topic: 'orders', nth: 3, action })
   */
  add(rule: FaultRule): Fault {
    bagOf(rule, 'rule')
    return new Fault(this.#environment, this.#broker, this.#environment.invoke(this.#broker, 'broker.addFault', rule))
  }

  /** Removes all rules and lets go what they hold. */
  clear(): void {
    this.#environment.invoke(this.#broker, 'broker.clearFaults', {})
  }
}

/**
 * A Kafka-compatible broker of one node, in memory or in a folder (`logDir`). Not for production: what it holds in memory is gone
 * when it stops.
 *
 * @example
 * await using broker = await Broker.start()
 * const kafka = new Kafka({ brokers: broker.address })
 */
export class Broker implements AsyncDisposable {
  /** Host and port that it listens on, as `brokers` takes them. */
  readonly address: string
  /** What it does wrong on purpose. */
  readonly faults: Faults
  /** All that it listens on: names of listeners and addresses. */
  readonly listeners: readonly BrokerListener[]
  /** What `serverProperties` has that has no effect here. */
  readonly notices: readonly string[]
  readonly #environment: Environment
  readonly #handle: number
  #stopping: Promise<void> | undefined

  private constructor(environment: Environment, running: RunningBroker) {
    this.#environment = environment
    this.#handle = running.handle
    this.address = running.address
    this.listeners = running.listeners
    this.notices = running.notices
    this.faults = new Faults(environment, running.handle)
  }

  /** Starts one, on a free port of 127.0.0.1 unless told otherwise. It keeps the process alive until it stops. */
  static async start(options: BrokerOptions = {}, more: CallOptions = {}): Promise<Broker> {
    bagOf(options)
    const { signal } = optionsOf(more, ['signal'])
    if (signal?.aborted) throw aborted(signal, 'aborted before the broker was started')
    const environment = theEnvironment()
    // Not cut off by the signal: a broker that has started must be stopped.
    const running = await environment.call(0, 'environment.startBroker', options)
    environment.hold()
    const broker = new Broker(environment, running)
    if (!signal?.aborted) return broker
    await broker.stop()
    throw aborted(signal, 'aborted while the broker was starting')
  }

  /** Stops it: closes all connections; what it held in memory is gone, what is in `logDir` is safe. A second call waits for the first. */
  stop(): Promise<void> {
    this.#stopping ??= this.#environment
      .call(this.#handle, 'broker.stop', {})
      .finally(() => this.#environment.release())
    return this.#stopping
  }

  /** Same as `stop()`. */
  close(): Promise<void> {
    return this.stop()
  }

  /** Same as `stop()`, so that `await using` works. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}
