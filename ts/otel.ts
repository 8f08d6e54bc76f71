/**
 * OpenTelemetry for Dohle: spans and metrics by the semantic conventions for messaging, W3C context in record headers.
 * The entry `dohle/otel`; it needs `@opentelemetry/api`, which `dohle` itself never loads.
 */
import { tracingChannel } from 'node:diagnostics_channel'
import { createRequire } from 'node:module'
import type { Attributes, MeterProvider, TextMapPropagator, TracerProvider } from '@opentelemetry/api'
import { processing } from './internal/channels.ts'
import { Instruments } from './internal/otel-metrics.ts'
import { type Api, Spans } from './internal/otel-spans.ts'
import { readerOf } from './internal/sources.ts'
import type { Message } from './message.ts'

/** For `instrument`. */
export interface InstrumentOptions {
  /** @defaultValue the global one */
  tracerProvider?: TracerProvider | undefined
  /** @defaultValue the global one */
  meterProvider?: MeterProvider | undefined
  /** Writes context into headers and reads it. @defaultValue the global one */
  propagator?: TextMapPropagator | undefined
  /**
   * Whether `process` spans are children of the span that sent the record, to which they are linked in any case; otherwise they
   * belong to what is active where the loop was begun.
   * @defaultValue true
   */
  continueTraces?: boolean | undefined
  /**
   * Whether there are `poll` spans, one per chunk of records.
   * @defaultValue true
   */
  pollSpans?: boolean | undefined
  /**
   * Whether spans have `messaging.kafka.message.key`. Keys are often names of people.
   * @defaultValue false
   */
  keys?: boolean | undefined
  /** Attributes for all spans and metrics. */
  attributes?: Attributes | undefined
}

/** A tracing channel takes some of the handlers, whatever its types say. */
interface Channel {
  subscribe(handlers: object): void
  unsubscribe(handlers: object): void
}

/** What `instrument` has begun. */
export interface Instrumentation {
  /** Ends it. */
  disable(): void
}

/**
 * Begins to trace and measure all clients of this thread, by the channels of `node:diagnostics_channel`. Call it once the SDK
 * is started.
 *
 * @example
 * import { instrument } from 'dohle/otel'
 * instrument()
 * @see https://opentelemetry.io/docs/specs/semconv/messaging/kafka/
 * @throws Error when `@opentelemetry/api` is not installed
 */
export function instrument(options: InstrumentOptions = {}): Instrumentation {
  const api = load()
  const spans = new Spans(api, options)
  const metrics = new Instruments(api, options)
  const ends: (() => void)[] = []
  for (const name of ['produce', 'poll', 'process', 'commit'] as const) {
    // Spans first: what is measured is measured within them, so that exemplars find their trace.
    for (const subscriber of [spans[name], metrics[name]]) {
      const channel = tracingChannel(`dohle:${name}`) as Channel
      channel.subscribe(subscriber)
      ends.push(() => channel.unsubscribe(subscriber))
    }
  }
  return {
    disable: () => {
      for (const end of ends.splice(0)) end()
    },
  }
}

/**
 * Runs what a program does with a record that it has from a loop or a batch, as `forEach` runs its handlers: within a `process`
 * span, if `instrument` was called.
 *
 * @example
 * for await (const message of consumer) await traced(message, () => handle(message))
 * @returns what `handler` returns
 */
export function traced<T>(message: Message, handler: () => T): Promise<Awaited<T>> {
  return processing(readerOf(message).origin, message, handler)
}

/** Not by `import`: that would fail before we could say what is missing, and some programs `require` this. */
function load(): Api {
  try {
    return createRequire(import.meta.url)('@opentelemetry/api') as Api
  } catch (cause) {
    throw new Error(
      "dohle/otel needs @opentelemetry/api, which is not installed: run 'npm install @opentelemetry/api'",
      {
        cause,
      },
    )
  }
}
