/**
 * The engine's errors as kafkajs' own. The engine has retried what may be retried before it fails: a retriable error of it is
 * kafkajs' `KafkaJSNumberOfRetriesExceeded`.
 */
import { KafkaError, PartialFailureError } from '../errors.ts'
import { textOf } from '../internal/arguments.ts'
import {
  KafkaJSAggregateError,
  KafkaJSConnectionError,
  KafkaJSError,
  KafkaJSNonRetriableError,
  KafkaJSNumberOfRetriesExceeded,
  KafkaJSProtocolError,
  KafkaJSRequestTimeoutError,
} from './errors.ts'
import { KafkaJSSASLAuthenticationError, KafkaJSServerDoesNotSupportApiKey } from './more-errors.ts'
import { protocolError } from './protocol-errors.ts'

const OF_TOPIC: readonly string[] = ['INVALID_TOPIC_EXCEPTION', 'TOPIC_AUTHORIZATION_FAILED']

/** How often and how long something was tried. */
export interface Tried {
  retryCount: number
  retryTime: number
}

/** An error as kafkajs' users know it; what is none of the engine's stays what it is. */
export function theirs(error: unknown, tried: Tried = { retryCount: 0, retryTime: 0 }): Error {
  if (!(error instanceof KafkaError)) return error as Error
  const single = one(error instanceof PartialFailureError ? error.failures[0]!.error : error)
  // What metadata says of a topic comes wrapped.
  if (OF_TOPIC.includes(error.code)) return new KafkaJSNonRetriableError(single, { cause: single })
  // As connections that fail in any other way: kafkajs tries them all again.
  return single.retriable ? new KafkaJSNumberOfRetriesExceeded(single, tried) : single
}

/** The same, for what is told of one of many and does not say that retries are over. */
export function one(error: KafkaError): KafkaJSError {
  const { code, message, retriable } = error
  switch (code) {
    case 'INVALID_ARGUMENT':
    case 'CLOSED':
    case 'ABORTED':
      return new KafkaJSNonRetriableError(message, { cause: error })
    case 'INVALID_CONFIG':
      // An option of ours, or a broker's answer to a topic's configuration.
      if (error.name === 'InvalidConfigurationError') return new KafkaJSNonRetriableError(message, { cause: error })
      break
    case 'BROKER_UNREACHABLE':
    case 'NETWORK_EXCEPTION':
    case 'NOT_KAFKA':
    case 'TLS_HANDSHAKE_FAILED':
      return caused(new KafkaJSConnectionError(message), error)
    case 'DELIVERY_TIMEOUT':
    case 'MAX_BLOCK_TIMEOUT':
      return caused(new KafkaJSRequestTimeoutError(message), error)
    case 'SASL_AUTHENTICATION_FAILED':
      return new KafkaJSSASLAuthenticationError(message, { cause: error })
    case 'UNSUPPORTED':
      return caused(new KafkaJSServerDoesNotSupportApiKey(message), error)
    case 'NO_OFFSET':
    case 'MAX_POLL_EXCEEDED':
    case 'CALLBACK_FAILED':
    case 'PROTOCOL':
    case 'PANIC':
      return new KafkaJSError(message, { retriable, cause: error })
  }
  return new KafkaJSProtocolError(Object.assign(new Error(message), protocolError(code)), { retriable, cause: error })
}

/** What a broker would answer, said before it is asked. */
export function refusal(code: string, message: string): KafkaJSProtocolError {
  return new KafkaJSProtocolError(Object.assign(new Error(message), protocolError(code)), { retriable: false })
}

/** Whether an error is kafkajs' own. */
export const isTheirs = (error: unknown): boolean =>
  error instanceof KafkaJSError || error instanceof KafkaJSAggregateError

/** What was thrown as an error: programs also throw `null` and text, and reject with nothing. */
export function errorOf(thrown: unknown): Error {
  try {
    if (thrown instanceof Error && typeof (thrown.message as unknown) === 'string') return thrown
  } catch {}
  return new Error(typeof thrown === 'string' ? thrown : textOf(thrown), { cause: thrown })
}

/** The stack of what was thrown, if it has one that can be read. */
export function stackOf(thrown: unknown): string | undefined {
  try {
    return (thrown as Error | null | undefined)?.stack
  } catch {
    return undefined
  }
}

function caused<E extends KafkaJSError>(error: E, cause: Error): E {
  return Object.assign(error, { cause })
}
