/**
 * Spans of the channels: `send`, `poll`, `process`, `commit`, and the context that travels in headers.
 */
import type {
  Attributes,
  Context,
  Link,
  Span,
  SpanContext,
  SpanKind,
  TextMapPropagator,
  Tracer,
} from '@opentelemetry/api'
import type { Message } from '../message.ts'
import type { InstrumentOptions } from '../otel.ts'
import type { CommitContext, PollContext, ProcessContext, ProduceContext, TracedRecord } from '../tracing.ts'
import { attributesOf, errorType, onlyTopic } from './otel-attributes.ts'

/** The package `@opentelemetry/api`. */
export type Api = typeof import('@opentelemetry/api')

/** Links that a span has, at most: what SDKs keep of them. */
const MAX_LINKS = 128

const SEND = { name: 'send', type: 'send' } as const
const POLL = { name: 'poll', type: 'receive' } as const
const PROCESS = { name: 'process', type: 'process' } as const
const COMMIT = { name: 'commit', type: 'settle' } as const

interface Failed {
  error?: unknown
}

/** See the module. Each member is a subscriber of the channel of its name. */
export class Spans {
  readonly #api: Api
  readonly #options: InstrumentOptions
  readonly #tracer: Tracer
  readonly #spans = new WeakMap<object, Span>()
  readonly #begun = new WeakMap<object, { at: number; within: Context }>()

  constructor(api: Api, options: InstrumentOptions) {
    this.#api = api
    this.#options = options
    this.#tracer = (options.tracerProvider ?? api.trace).getTracer('dohle')
  }

  readonly produce = {
    start: (context: ProduceContext) => {
      const api = this.#api
      const { topic, messages, operation } = context
      const links = messages.flatMap(({ headers }) => this.#link(new Map(headers)))
      const attributes: Attributes = {
        ...(operation === 'sendBatch' && { 'messaging.batch.message_count': messages.length }),
        ...(messages.length === 1 && this.#ofMessage(messages[0]!)),
      }
      const span = this.#start(
        `send ${topic}`,
        api.SpanKind.PRODUCER,
        context,
        {
          ...attributesOf(SEND, context, topic),
          ...attributes,
        },
        links,
      )
      const carrier: Record<string, string> = {}
      this.#propagator.inject(api.trace.setSpan(api.context.active(), span), carrier, api.defaultTextMapSetter)
      const names = Object.keys(carrier)
      for (const { headers } of messages) {
        // A context that the program has given is the record's own: where it was created.
        if (headers.some(([name]) => names.includes(name))) continue
        for (const name of names) headers.push([name, carrier[name]!])
      }
    },
    end: (context: ProduceContext) => {
      if (context.operation === 'tryEnqueue') this.#end(context)
    },
    asyncEnd: (context: ProduceContext) => {
      const { partition, offset } = (context.operation === 'send' ? (context.result ?? {}) : {}) as Record<
        string,
        number
      >
      const span = this.#spans.get(context)
      if (partition !== undefined && partition >= 0)
        span?.setAttribute('messaging.destination.partition.id', `${partition}`)
      if (offset !== undefined && offset >= 0) span?.setAttribute('messaging.kafka.offset', offset)
      this.#end(context)
    },
  }

  readonly poll = {
    start: (context: PollContext) => {
      this.#begun.set(context, { at: Date.now(), within: this.#api.context.active() })
    },
    asyncEnd: (context: PollContext) => {
      const begun = this.#begun.get(context)
      const { topic, partition, count, messages } = context
      // What ends with the consumer is none.
      if (begun === undefined || this.#options.pollSpans === false || (count === 0 && context.error === undefined))
        return
      const links: Link[] = []
      for (const message of messages ?? []) {
        links.push(...this.#link(message.headers))
        if (links.length >= MAX_LINKS) break
      }
      const attributes = {
        ...attributesOf(POLL, context, topic),
        ...this.#options.attributes,
        'messaging.client.id': context.clientId,
        ...(count !== undefined && { 'messaging.batch.message_count': count }),
        ...(partition !== undefined && { 'messaging.destination.partition.id': `${partition}` }),
      }
      const name = topic === undefined ? 'poll' : `poll ${topic}`
      const kind = this.#api.SpanKind.CLIENT
      const span = this.#tracer.startSpan(name, { kind, attributes, links, startTime: begun.at }, begun.within)
      this.#spans.set(context, span)
      this.#end(context)
    },
  }

  readonly process = {
    start: (context: ProcessContext) => {
      const { context: contexts, trace, SpanKind } = this.#api
      const { message } = context
      const links = this.#link(message.headers)
      const remote = this.#options.continueTraces === false ? undefined : links[0]?.context
      const within = remote === undefined ? contexts.active() : trace.setSpanContext(contexts.active(), remote)
      const attributes = {
        ...attributesOf(PROCESS, context, message.topic),
        'messaging.destination.partition.id': `${message.partition}`,
        'messaging.kafka.offset': message.offset,
        ...this.#ofMessage(message),
      }
      const span = this.#start(`process ${message.topic}`, SpanKind.CONSUMER, context, attributes, links, within)
      const inside = trace.setSpan(within, span)
      const { around } = context
      context.around = handler => contexts.with(inside, () => (around === undefined ? handler() : around(handler)))
    },
    asyncEnd: (context: ProcessContext) => this.#end(context),
  }

  readonly commit = {
    start: (context: CommitContext) => {
      const topic = onlyTopic(context.offsets)
      const name = topic === undefined ? 'commit' : `commit ${topic}`
      this.#start(name, this.#api.SpanKind.CLIENT, context, attributesOf(COMMIT, context, topic), [])
    },
    asyncEnd: (context: CommitContext) => this.#end(context),
  }

  get #propagator(): Pick<TextMapPropagator, 'inject' | 'extract'> {
    return this.#options.propagator ?? this.#api.propagation
  }

  #start(
    name: string,
    kind: SpanKind,
    context: { clientId: string },
    own: Attributes,
    links: Link[],
    within = this.#api.context.active(),
  ): Span {
    const attributes = { ...own, ...this.#options.attributes, 'messaging.client.id': context.clientId }
    const span = this.#tracer.startSpan(name, { kind, attributes, links: links.slice(0, MAX_LINKS) }, within)
    this.#spans.set(context, span)
    return span
  }

  #end(context: Failed): void {
    const span = this.#spans.get(context)
    if (span === undefined) return
    const { error } = context
    if (error !== undefined) {
      span.setAttribute('error.type', errorType(error))
      span.recordException(error as Error)
      span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message: String((error as Error)?.message ?? '') })
    }
    span.end()
    this.#spans.delete(context)
  }

  #ofMessage({ key, value }: TracedRecord | Message): Attributes {
    return {
      ...(this.#options.keys && key != null && { 'messaging.kafka.message.key': Buffer.from(key).toString('utf8') }),
      ...(value === null && { 'messaging.kafka.message.tombstone': true }),
    }
  }

  /** A link to the span whose context a record has, if it has one. */
  #link(headers: { get(name: string): unknown }): Link[] {
    const { ROOT_CONTEXT, trace, isSpanContextValid } = this.#api
    const getter = {
      keys: () => [],
      get: (from: typeof headers, name: string) => {
        const value = from.get(name)
        return value == null
          ? undefined
          : typeof value === 'string'
            ? value
            : Buffer.from(value as Uint8Array).toString()
      },
    }
    const found: SpanContext | undefined = trace.getSpanContext(this.#propagator.extract(ROOT_CONTEXT, headers, getter))
    return found !== undefined && isSpanContextValid(found) ? [{ context: found }] : []
  }
}
