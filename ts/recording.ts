/**
 * Recorded sessions (`Broker.start({ record })`): sent again to a broker, given to clients, exported as packets.
 */
import type { ExportReport, RecordingReplay, ReplayReport, StandInStart } from './generated/operations.ts'
import { bagOf } from './internal/arguments.ts'
import { type Environment, theEnvironment } from './internal/environment.ts'

/** Which broker a recorded session is sent to, and how. */
export type ReplayOptions = Omit<RecordingReplay, 'file'>

/** Where a recorded session is given to clients. */
export type StandInOptions = Omit<StandInStart, 'file'>

/**
 * Sends the requests of a recorded session to a broker again, in the recorded order, and compares its answers with the recorded
 * ones. Ids that brokers make up are translated; times, ids and addresses are not compared.
 *
 * @example
 * const { differences, told } = await replay('session.dohle', { to: broker.address })
 */
export function replay(file: string, options: ReplayOptions): Promise<ReplayReport> {
  bagOf(options)
  return theEnvironment().call(0, 'environment.replayRecording', { ...options, file })
}

/** Writes a recorded session as packets (pcap), which Wireshark and tshark read. */
export function exportRecording(file: string, options: { pcap: string }): Promise<ExportReport> {
  bagOf(options)
  return theEnvironment().call(0, 'environment.exportRecording', { ...options, file })
}

/**
 * Answers clients with what was recorded, in the place of the broker that was recorded.
 *
 * @example
 * await using recorded = await StandIn.start('session.dohle')
 * const kafka = new Kafka({ brokers: recorded.address })
 */
export class StandIn implements AsyncDisposable {
  /** Host and port that it listens on, as `brokers` takes them. */
  readonly address: string
  readonly #environment: Environment
  readonly #handle: number
  #stopping: Promise<void> | undefined

  private constructor(environment: Environment, handle: number, address: string) {
    this.#environment = environment
    this.#handle = handle
    this.address = address
  }

  /** Reads a recording and listens on 127.0.0.1. It keeps the process alive until it stops. */
  static async start(file: string, options: StandInOptions = {}): Promise<StandIn> {
    bagOf(options)
    const environment = theEnvironment()
    const { handle, address } = await environment.call(0, 'environment.startStandIn', { ...options, file })
    environment.hold()
    return new StandIn(environment, handle, address)
  }

  /** Stops it: closes all connections. A second call waits for the first. */
  stop(): Promise<void> {
    this.#stopping ??= this.#environment
      .call(this.#handle, 'standIn.stop', {})
      .finally(() => this.#environment.release())
    return this.#stopping
  }

  /** Same as `stop()`, so that `await using` works. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}
