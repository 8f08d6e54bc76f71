/**
 * The transactions of one producer, one at a time: who may begin, and what has failed that the engine does not see.
 */
import { AbortableError, KafkaError } from '../errors.ts'
import type { Producer } from '../producer.ts'
import type { TransactionOptions } from '../records.ts'
import { Transaction, within } from '../transaction.ts'
import { optionsOf } from './arguments.ts'
import type { Environment } from './environment.ts'
import { aborted, invalid, kindOf } from './failure.ts'
import type { Reader } from './reader.ts'
import { offsetsOf, readers } from './sources.ts'

/** What a transaction needs of its producer. */
export interface Host {
  readonly producer: Producer
  readonly environment: Environment
  readonly handle: number
  /** Resolves when the engine has every record that was given before. */
  crossed(signal?: AbortSignal): Promise<void>
  /** The transaction is over. */
  ended(): void
}

/** See the module. */
export class Transactions implements Host {
  readonly producer: Producer
  readonly environment: Environment
  readonly handle: number
  readonly crossed: (signal?: AbortSignal) => Promise<void>
  #open: Transaction | undefined
  #beginning = false

  constructor(producer: Producer, environment: Environment, handle: number, crossed: Host['crossed']) {
    this.producer = producer
    this.environment = environment
    this.handle = handle
    this.crossed = crossed
  }

  /** Begins one. */
  begin(options?: TransactionOptions): Promise<Transaction> {
    return this.#begin(optionsOf(options, ['signal', 'consumer']))
  }

  async #begin({ signal, consumer }: TransactionOptions): Promise<Transaction> {
    const reader = consumer === undefined ? undefined : readerOf(consumer)
    // Whether its offsets can be committed by a transaction, before there is one that would have to be aborted for it.
    if (reader !== undefined) offsetsOf(reader, [])
    if (signal?.aborted) throw aborted(signal, 'aborted before the transaction began')
    if (this.#open !== undefined || this.#beginning) throw busy()
    this.#beginning = true
    const begun = this.environment.call(this.handle, 'producer.beginTransaction', {})
    try {
      await within(begun, signal)
    } catch (error) {
      // It may be opened all the same, and nobody is there who could end it.
      begun.then(() => this.environment.call(this.handle, 'producer.abortTransaction', {})).then(this.#idle, this.#idle)
      throw error
    }
    this.#idle()
    this.#open = new Transaction(this, reader)
    return this.#open
  }

  readonly #idle = (): void => {
    this.#beginning = false
  }

  /** Runs `work` in one. */
  async run<T>(work: (tx: Transaction) => T | Promise<T>, options?: TransactionOptions): Promise<T> {
    if (typeof work !== 'function') throw invalid('work', `is ${kindOf(work)}, not a function`)
    const own = optionsOf(options, ['signal', 'consumer'])
    const tx = await this.#begin(own)
    const { signal } = own
    let result: T
    try {
      result = await work(tx)
      if (signal?.aborted && !tx.ended) throw aborted(signal, 'the transaction was aborted with its signal')
    } catch (error) {
      // What is wrong with the producer, its next call tells; here it is what the program has thrown.
      await tx[Symbol.asyncDispose]().catch(() => {})
      throw error
    }
    await tx.finish(signal)
    return result
  }

  ended(): void {
    this.#open = undefined
  }

  /** The error of a call, as its program gets it: one that fails within a transaction lets the transaction fail. */
  failed(error: KafkaError): KafkaError {
    return this.#open?.failed(error) ?? error
  }
}

/** The same error, of a transaction that cannot be committed any more. */
export function abortable(error: KafkaError): KafkaError {
  const { message, code, persistence } = error
  return new AbortableError(message, { code, persistence, abortable: true, cause: error })
}

function readerOf(consumer: object): Reader {
  const reader = readers.get(consumer)
  if (reader === undefined) throw invalid('consumer', `is ${kindOf(consumer)}, not a consumer`)
  return reader
}

function busy(): KafkaError {
  return new KafkaError('a transaction is open; a producer has one at a time', { code: 'INVALID_TXN_STATE' })
}
