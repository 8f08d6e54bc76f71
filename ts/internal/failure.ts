/**
 * Failures as the engine tells them (JSON), turned into the public classes, and the errors that TypeScript makes itself.
 */
import {
  AbortableError,
  ApplicationRecoverableError,
  type FailedItem,
  InvalidConfigurationError,
  KafkaError,
  type KafkaErrorOptions,
  type Persistence,
  RefreshRetriableError,
  RetriableError,
} from '../errors.ts'

interface Failure {
  code: string
  class: keyof typeof classes
  message: string
  retriable: boolean
  fatal: boolean
  abortable?: boolean
  persistence?: Persistence
  causes?: string[]
  items?: { name: string; error: Failure }[]
}

const classes = {
  retriable: RetriableError,
  refreshRetriable: RefreshRetriableError,
  abortable: AbortableError,
  applicationRecoverable: ApplicationRecoverableError,
  invalidConfiguration: InvalidConfigurationError,
  other: KafkaError,
}

/** The error of a failure's JSON. */
export function failureOf(json: string, persistence?: Persistence): KafkaError {
  return failureFrom(JSON.parse(json) as Failure, persistence)
}

/** The error of a failure as JSON has it. */
export function failureFrom(failure: Failure, persistence?: Persistence): KafkaError {
  const { code, retriable, fatal, abortable = false } = failure
  const options: KafkaErrorOptions = {
    code,
    retriable,
    fatal,
    abortable,
    persistence: failure.persistence ?? persistence,
    items: failure.items?.map((of): FailedItem => ({ name: of.name, error: failureFrom(of.error) })),
  }
  const cause = (failure.causes ?? []).reduceRight<Error | undefined>(
    (inner, message) => new Error(message, inner && { cause: inner }),
    undefined,
  )
  if (cause !== undefined) options.cause = cause
  return new (classes[failure.class] ?? KafkaError)(failure.message, options)
}

/**
 * What a call into the add-on threw: a failure as its message's JSON, or a defect. `persistence` is that of records that
 * the call did not take; after a defect nothing is known of them.
 */
export function thrown(error: unknown, persistence?: Persistence): KafkaError {
  if (error instanceof KafkaError) return error
  const text = error instanceof Error ? error.message : String(error)
  if (text.startsWith('{"code":')) {
    const failure = failureOf(text, persistence)
    Error.captureStackTrace(failure, thrown)
    return failure
  }
  const message = `a call into the engine failed, which is a defect of dohle: ${text}`
  return new KafkaError(message, { code: 'PANIC', cause: error, persistence: persistence && 'possibly-persisted' })
}

/** An argument is wrong; `path` names it, such as `messages[3].value`. */
export function invalid(path: string, problem: string, cause?: unknown): InvalidConfigurationError {
  return new InvalidConfigurationError(`${path}: ${problem}`, { code: 'INVALID_ARGUMENT', cause })
}

/** Something was used after its `close()`. */
export function closed(what: string, persistence?: Persistence): KafkaError {
  return new KafkaError(`the ${what} is closed`, { code: 'CLOSED', persistence })
}

/** The caller's signal was aborted. */
export function aborted(signal: AbortSignal, message: string, persistence?: Persistence): KafkaError {
  let cause: unknown
  try {
    cause = signal.reason
  } catch (error) {
    cause = error
  }
  return new KafkaError(message, { code: 'ABORTED', cause, persistence })
}

/** A value for a message, such as `a number` or `null`; never its content. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  let name: unknown
  try {
    name = value.constructor?.name
  } catch {
    return 'an object that cannot be read'
  }
  if (typeof name !== 'string' || name === '' || name === 'Object') return 'an object'
  return `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`
}
