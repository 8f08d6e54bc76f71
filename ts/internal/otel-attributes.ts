/**
 * Attributes of the semantic conventions for messaging (1.40 and later; all of them are in development).
 */
import type { Attributes } from '@opentelemetry/api'
import type { Origin } from '../tracing.ts'

/** What a span or a measurement is of. */
export interface Operation {
  /** `messaging.operation.name`. */
  name: 'send' | 'poll' | 'process' | 'commit'
  /** `messaging.operation.type`. */
  type: 'send' | 'receive' | 'process' | 'settle'
}

/** Attributes that all have. Of few values, so that they may be those of a metric. */
export function attributesOf(of: Operation, origin: Origin, topic: string | undefined): Attributes {
  const [, host, port] = /^(?:\[?([^\]]*?)\]?)(?::(\d+))?$/.exec(origin.server) ?? []
  return {
    'messaging.system': 'kafka',
    'messaging.operation.name': of.name,
    'messaging.operation.type': of.type,
    ...(topic !== undefined && { 'messaging.destination.name': topic }),
    ...(origin.groupId !== undefined && { 'messaging.consumer.group.name': origin.groupId }),
    ...(host && { 'server.address': host, 'server.port': port === undefined ? 9092 : Number(port) }),
  }
}

/** `error.type`: Kafka's name of the error, or the class of what was thrown. */
export function errorType(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown }
  return typeof code === 'string' ? code : typeof name === 'string' ? name : '_OTHER'
}

/** The only topic of what is committed, if there is one. */
export function onlyTopic(offsets: readonly { topic: string }[] | undefined): string | undefined {
  const topics = new Set(offsets?.map(({ topic }) => topic))
  return topics.size === 1 ? [...topics][0] : undefined
}
