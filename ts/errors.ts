/**
 * Errors: one class, five subclasses (the groups of KIP-1050), and `code` to tell them apart.
 */

import type { BrokerErrorCode, OwnErrorCode } from './generated/errors.ts'

/** The `code` of an error: Kafka's name of it, one of Dohle's own, such as `CLOSED`, or `UNKNOWN(n)` for a newer broker's. */
export type KafkaErrorCode = BrokerErrorCode | OwnErrorCode | (string & Record<never, never>)

/** What `KafkaError` is made of. */
export interface KafkaErrorOptions {
  /** Kafka's name of the error, such as `UNKNOWN_TOPIC_OR_PARTITION`, or one of Dohle's, such as `CLOSED`. */
  code: KafkaErrorCode
  /** Whether the same call may succeed when it is made again. Default: false. */
  retriable?: boolean
  /** Whether the object that gave the error is of no more use. Default: false. */
  fatal?: boolean
  /** Whether a transaction was aborted for it, or must be. Default: false. */
  abortable?: boolean
  /** For a record that was not acknowledged: whether it is in the log all the same. */
  persistence?: Persistence | undefined
  /** Of a call about several things: those that failed. */
  items?: readonly FailedItem[] | undefined
  /** What it came from. */
  cause?: unknown
}

/** One of the things that a call was about, and why it failed. */
export interface FailedItem {
  /** Its name, such as that of a topic; `orders-3` is a partition. */
  name: string
  /** Why. */
  error: KafkaError
}

/**
 * Whether a record is in the log, as far as can be known: `not-persisted` may be sent again without making a duplicate,
 * `possibly-persisted` left the client and no answer told its fate.
 */
export type Persistence = 'not-persisted' | 'possibly-persisted' | 'persisted'

/**
 * Every error of Dohle. Its subclasses are the five groups of KIP-1050, which say what to do; an error outside of these
 * groups is a plain `KafkaError`.
 *
 * @see https://cwiki.apache.org/confluence/display/KAFKA/KIP-1050
 */
export class KafkaError extends Error {
  /** `KafkaError`, as `instanceof` has it. */
  override name = 'KafkaError'
  /** Kafka's name of the error, such as `UNKNOWN_TOPIC_OR_PARTITION`, or one of Dohle's, such as `CLOSED`. */
  readonly code: KafkaErrorCode
  /** Whether the same call may succeed when it is made again. */
  readonly retriable: boolean
  /** Whether the client, producer or consumer that gave the error is of no more use. */
  readonly fatal: boolean
  /**
   * Whether it ended a transaction, which is aborted or must be; the producer can begin another one. Told from the
   * transaction's state: the same `code` outside of a transaction is not abortable.
   */
  readonly abortable: boolean
  /** For a record that was not acknowledged: whether it is in the log all the same. Undefined for other errors. */
  readonly persistence: Persistence | undefined
  /**
   * Of an admin call about several things: those that failed, in the order of the call, each with its own error; those not named
   * were done. Undefined where it was not about things one by one, or all of them shared one fate, such as a timeout.
   */
  readonly items: readonly FailedItem[] | undefined

  /** An error of the program's own making, for tests of its error handling. */
  constructor(message: string, options: KafkaErrorOptions) {
    const code: unknown = options?.code
    if (typeof code !== 'string') {
      const text = `options.code: is ${code === null ? 'null' : `of type ${typeof code}`}, not a text such as 'UNKNOWN_TOPIC_OR_PARTITION'`
      throw new InvalidConfigurationError(text, { code: 'INVALID_ARGUMENT' })
    }
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = options.code
    this.retriable = options.retriable ?? false
    this.fatal = options.fatal ?? false
    this.abortable = options.abortable ?? false
    this.persistence = options.persistence
    this.items = options.items
  }

  /** What `JSON.stringify` makes of it: with the message and the causes, which errors otherwise keep to themselves. */
  toJSON(): Record<string, unknown> {
    return { ...(this as object), message: this.message, cause: causeAsJson(this.cause) }
  }
}

/** How many causes of causes are told. */
const DEEPEST_CAUSE = 8

/** An error's name, message and causes. What is no error may be anything, and is left out. */
function causeAsJson(cause: unknown, depth = 0): unknown {
  if (!(cause instanceof Error) || depth === DEEPEST_CAUSE) return undefined
  const { name, message } = cause
  const code = cause instanceof KafkaError ? cause.code : undefined
  return { name, code, message, cause: causeAsJson(cause.cause, depth + 1) }
}

/** May succeed when the same call is made again. */
export class RetriableError extends KafkaError {
  /** `RetriableError`, as `instanceof` has it. */
  override name = 'RetriableError'
}

/** May succeed when the same call is made again, after the engine has asked for the cluster's metadata anew. */
export class RefreshRetriableError extends RetriableError {
  /** `RefreshRetriableError`, as `instanceof` has it. */
  override name = 'RefreshRetriableError'
}

/** The transaction must be aborted; the producer stays usable. */
export class AbortableError extends KafkaError {
  /** `AbortableError`, as `instanceof` has it. */
  override name = 'AbortableError'
}

/** The application must act, for example make a new producer, join anew or seek. */
export class ApplicationRecoverableError extends KafkaError {
  /** `ApplicationRecoverableError`, as `instanceof` has it. */
  override name = 'ApplicationRecoverableError'
}

/** An option or an argument is wrong; the message names it, its value and what is allowed. */
export class InvalidConfigurationError extends KafkaError {
  /** `InvalidConfigurationError`, as `instanceof` has it. */
  override name = 'InvalidConfigurationError'
}

/** A record of a batch that was not acknowledged. */
export interface FailedRecord {
  /** Its place in the `messages` given to `sendBatch`; after a `flush` a count from 0. */
  index: number
  /** Why. */
  error: KafkaError
  /** Whether it is in the log all the same: `not-persisted` may be sent again without making a duplicate. */
  persistence: Persistence
}

/**
 * Some or all records of a `sendBatch`, or records given to `tryEnqueue` before a `flush`, were not acknowledged.
 * `code` and `fatal` are those of the first failure; `retriable` when all are. `persistence` is what the failed records
 * have in common, `possibly-persisted` when it differs; those not named in `failures` were acknowledged.
 */
export class PartialFailureError extends KafkaError {
  /** `PartialFailureError`, as `instanceof` has it. */
  override name = 'PartialFailureError'
  /** The records that failed, in the order of the call. Those not named were acknowledged. */
  readonly failures: readonly FailedRecord[]

  /** `count`: how many records the call had; none for a flush. */
  constructor(failures: readonly FailedRecord[], count?: number) {
    const first = failures[0]!
    const which = count === undefined ? `${failures.length} records` : `${failures.length} of ${count} records`
    const where = count === undefined ? 'the first' : `the first, at index ${first.index}`
    super(`${which} were not acknowledged; ${where}: ${first.error.message}`, {
      code: first.error.code,
      retriable: failures.every(({ error }) => error.retriable),
      fatal: first.error.fatal,
      abortable: first.error.abortable,
      persistence: failures.every(({ persistence }) => persistence === first.persistence)
        ? first.persistence
        : 'possibly-persisted',
      cause: first.error,
    })
    this.failures = failures
  }
}
