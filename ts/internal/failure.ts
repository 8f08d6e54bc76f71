/**
 * Failures as the engine tells them (JSON), turned into the public classes, and the errors that TypeScript makes itself.
 */
import {
  AbortableError,
  ApplicationRecoverableError,
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
  causes?: string[]
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
  const failure = JSON.parse(json) as Failure
  const { code, retriable, fatal } = failure
  const options: KafkaErrorOptions = { code, retriable, fatal, persistence }
  const cause = (failure.causes ?? []).reduceRight<Error | undefined>(
    (inner, message) => new Error(message, inner && { cause: inner }),
    undefined,
  )
  if (cause !== undefined) options.cause = cause
  return new (classes[failure.class] ?? KafkaError)(failure.message, options)
}

/** What a call into the add-on threw: a failure as its message's JSON, or a defect, which stays what it is. */
export function thrown(error: unknown): unknown {
  if (error instanceof Error && error.message.startsWith('{"code":')) {
    const failure = failureOf(error.message)
    Error.captureStackTrace(failure, thrown)
    return failure
  }
  return error
}

/** An argument is wrong; `path` names it, such as `messages[3].value`. */
export function invalid(path: string, problem: string): InvalidConfigurationError {
  return new InvalidConfigurationError(`${path}: ${problem}`, { code: 'INVALID_ARGUMENT' })
}

/** Something was used after its `close()`. */
export function closed(what: string, persistence?: Persistence): KafkaError {
  return new KafkaError(`the ${what} is closed`, { code: 'CLOSED', persistence })
}

/** The caller's signal was aborted. */
export function aborted(signal: AbortSignal, message: string, persistence?: Persistence): KafkaError {
  return new KafkaError(message, { code: 'ABORTED', cause: signal.reason, persistence })
}

/** A value for a message, such as `a number` or `null`; never its content. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  const name = value.constructor?.name ?? 'Object'
  if (name === 'Object') return 'an object'
  return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`
}

/** Whatever has the shape of an `AbortSignal`, polyfills too; the controller itself, a common slip, has not. */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return
  if (typeof signal?.aborted !== 'boolean' || typeof signal.addEventListener !== 'function')
    throw invalid('signal', `is ${kindOf(signal)}, not an AbortSignal`)
}

/** Milliseconds to wait, as `close` takes them, whole. */
export function checkTimeout(timeout: number | undefined): number | undefined {
  if (timeout === undefined) return undefined
  if (typeof timeout === 'number' && timeout >= 0 && timeout <= 0xffffffff) return Math.ceil(timeout)
  const found = typeof timeout === 'number' ? timeout : kindOf(timeout)
  throw invalid('timeout', `is ${found}, not milliseconds from 0 to 4294967295`)
}

/** Options as JSON. What JSON would turn into `null` or leave out is refused: it would become the default unnoticed. */
export function optionsJson(options: object): string {
  if (typeof options !== 'object' || options === null) throw invalid('options', `is ${kindOf(options)}, not an object`)
  for (const [name, value] of Object.entries(options)) {
    const unfit =
      typeof value === 'number'
        ? !Number.isFinite(value)
        : typeof value === 'bigint' || typeof value === 'symbol' || typeof value === 'function'
    if (unfit) throw invalid(name, `is ${typeof value === 'number' ? value : kindOf(value)}, which no option can be`)
  }
  return JSON.stringify(options)
}
