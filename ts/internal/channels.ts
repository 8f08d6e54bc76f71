/**
 * The tracing channels, and how a call is told on them. Whoever calls these has looked at `hasSubscribers` before.
 */
import { tracingChannel } from 'node:diagnostics_channel'
import type { Message } from '../message.ts'
import type { MessageBatch, ProducerMessage, TopicMessage } from '../records.ts'
import type {
  CommitContext,
  Origin,
  PollContext,
  ProcessContext,
  ProduceContext,
  RebalanceContext,
  RequestContext,
  TracedRecord,
} from '../tracing.ts'
import { check, checkMessage, pairs } from './arena.ts'
import { arrayOf } from './arguments.ts'

const channel = <Context extends object>(name: string) => tracingChannel<unknown, Context>(`dohle:${name}`)

/** A call of `send`, `sendBatch` or `tryEnqueue`. */
export const produce = channel<ProduceContext>('produce')
/** A loop asks for records. */
export const poll = channel<PollContext>('poll')
/** A handler has a record. */
export const process = channel<ProcessContext>('process')
/** The program commits. */
export const commit = channel<CommitContext>('commit')
/** An operation of the edge. */
export const request = channel<RequestContext>('request')
/** Partitions come or go. */
export const rebalance = channel<RebalanceContext>('rebalance')

/** A message as subscribers see it, with headers of its own; what is wrong with it is thrown as without them. */
export function tracedMessage(message: TopicMessage): TopicMessage & TracedRecord {
  checkMessage(message, 'message')
  return { topic: message.topic, ...traced(message, -1) }
}

/** The messages of a batch, likewise. */
export function tracedBatch(batch: MessageBatch): { topic: string; messages: (ProducerMessage & TracedRecord)[] } {
  checkMessage(batch, 'batch')
  const messages = arrayOf(batch.messages, 'messages')
  return {
    topic: batch.topic,
    messages: messages.map((message, place) => {
      check(message, place)
      return traced(message, place)
    }),
  }
}

function traced(message: ProducerMessage, place: number): ProducerMessage & TracedRecord {
  const { key, value, partition, timestamp, headers } = message
  const own = headers == null ? [] : [...pairs(headers, place)].map(([name, of]): [string, typeof of] => [name, of])
  return { key, value, partition, timestamp, headers: own }
}

/** Runs a handler of a message, told on the channel. */
export function processing<T>(origin: Origin, message: Message, handler: () => T): Promise<Awaited<T>> {
  const context: ProcessContext = { ...origin, message }
  const run = async (): Promise<Awaited<T>> =>
    await (context.around === undefined ? handler() : context.around(handler))
  return process.tracePromise(run, context)
}
