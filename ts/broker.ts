/**
 * `dohle/broker`: a Kafka-compatible broker inside this process, for the first minute and for tests.
 */
import type {
  BrokerAddFault,
  BrokerListener,
  BrokerNode,
  BrokerPartition,
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
  BrokerNode,
  BrokerPartition,
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
 * The nodes of a broker that was started with `nodes`, and what can be done to them while clients are at work. Each has its own port,
 * logs, connections and coordinators; copies of partitions follow their leaders as in Apache Kafka.
 */
export class Cluster {
  readonly #environment: Environment
  readonly #broker: number

  /** @internal */
  constructor(environment: Environment, broker: number) {
    this.#environment = environment
    this.#broker = broker
  }

  /** The nodes that were ever started, by id. */
  nodes(): BrokerNode[] {
    return this.#environment.invoke(this.#broker, 'broker.nodes', {})
  }

  /**
   * Starts a node again that was stopped or killed, at the port that it had and with the logs that it had; without an id, one more.
   * Resolves to host and port.
   */
  start(id?: number): Promise<string> {
    const next = () => Math.max(...this.nodes().map(node => node.id)) + 1
    return this.#environment.call(this.#broker, 'broker.startNode', { id: id ?? next() })
  }

  /** Stops a node as an operator does: its partitions go to others first. Resolves when it has ended. */
  stop(id: number): Promise<void> {
    return this.#environment.call(this.#broker, 'broker.stopNode', { id })
  }

  /**
   * Kills a node: its connections break, and nobody is told. Others lead its partitions after `broker.session.timeout.ms` (2,000 ms
   * here).
   */
  kill(id: number): void {
    this.#environment.invoke(this.#broker, 'broker.killNode', { id })
  }

  /** Cuts two nodes off from each other: neither copies of partitions nor ends of transactions go between them. Clients reach both. */
  cut(a: number, b: number): void {
    this.#environment.invoke(this.#broker, 'broker.connectNodes', { a, b, connected: false })
  }

  /** Lets two nodes reach each other again. */
  heal(a: number, b: number): void {
    this.#environment.invoke(this.#broker, 'broker.connectNodes', { a, b, connected: true })
  }

  /** Who leads a partition, who has it, and who of these is in sync; undefined when there is no such partition. */
  partition(topic: string, partition: number): BrokerPartition | undefined {
    return this.#environment.invoke(this.#broker, 'broker.partition', { topic, partition }) ?? undefined
  }

  /** Lets a node lead a partition; its copy must be in sync. */
  moveLeader(topic: string, partition: number, to: number): void {
    this.#environment.invoke(this.#broker, 'broker.moveLeader', { topic, partition, to })
  }
}

/**
 * A Kafka-compatible broker of one node or of several (`nodes`), in memory or in a folder (`logDir`). Not for production:
 * what it holds in memory is gone when it stops.
 *
 * @example
 * await using broker = await Broker.start()
 * const kafka = new Kafka({ brokers: broker.address })
 *
 * @example
 * // Three nodes; the leader of a partition dies while clients are at work.
 * await using broker = await Broker.start({ nodes: 3 })
 * const kafka = new Kafka({ brokers: broker.bootstrap })
 * await kafka.admin().createTopics([{ topic: 'orders', partitions: 6 }])
 * broker.cluster.kill(broker.cluster.partition('orders', 0)?.leader ?? 1)
 */
export class Broker implements AsyncDisposable {
  /** Host and port that it listens on, as `brokers` takes them; of several nodes, the first one's. */
  readonly address: string
  /** Hosts and ports of all nodes, as `brokers` takes them. */
  readonly bootstrap: string
  /** Its nodes. */
  readonly cluster: Cluster
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
    this.bootstrap = running.bootstrap
    this.cluster = new Cluster(environment, running.handle)
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
