/**
 * Metrics of the channels, as the semantic conventions name them.
 */
import type { Attributes, Counter, Histogram } from '@opentelemetry/api'
import type { InstrumentOptions } from '../otel.ts'
import type { CommitContext, PollContext, ProcessContext, ProduceContext } from '../tracing.ts'
import { attributesOf, errorType, type Operation, onlyTopic } from './otel-attributes.ts'
import type { Api } from './otel-spans.ts'

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

interface Made {
  operation: Histogram
  process: Histogram
  sent: Counter
  consumed: Counter
}

/** See the module. Each member is a subscriber of the channel of its name. */
export class Instruments {
  readonly #api: Api
  readonly #options: InstrumentOptions
  readonly #begun = new WeakMap<object, number>()
  #made: Made | undefined

  constructor(api: Api, options: InstrumentOptions) {
    this.#api = api
    this.#options = options
  }

  readonly #start = (context: object) => void this.#begun.set(context, performance.now())

  readonly produce = {
    start: this.#start,
    end: (context: ProduceContext) => {
      if (context.operation === 'tryEnqueue') this.#sent(context)
    },
    asyncEnd: (context: ProduceContext) => this.#sent(context),
  }

  readonly poll = {
    start: this.#start,
    asyncEnd: (context: PollContext) => {
      const { topic, count = 0, error } = context
      if (count === 0 && error === undefined) return
      const attributes = this.#attributes({ name: 'poll', type: 'receive' }, context, topic)
      this.#instruments.operation.record(this.#took(context), attributes)
      if (count > 0) this.#instruments.consumed.add(count, attributes)
    },
  }

  readonly process = {
    start: this.#start,
    asyncEnd: (context: ProcessContext) => {
      const attributes = this.#attributes({ name: 'process', type: 'process' }, context, context.message.topic)
      this.#instruments.process.record(this.#took(context), attributes)
    },
  }

  readonly commit = {
    start: this.#start,
    asyncEnd: (context: CommitContext) => {
      const attributes = this.#attributes({ name: 'commit', type: 'settle' }, context, onlyTopic(context.offsets))
      this.#instruments.operation.record(this.#took(context), attributes)
    },
  }

  #sent(context: ProduceContext): void {
    const attributes = this.#attributes({ name: 'send', type: 'send' }, context, context.topic)
    this.#instruments.operation.record(this.#took(context), attributes)
    // Memory was full: nothing was taken.
    if (context.result !== false) this.#instruments.sent.add(context.messages.length, attributes)
  }

  #took(context: object): number {
    return (performance.now() - (this.#begun.get(context) ?? performance.now())) / 1000
  }

  #attributes(
    of: Operation,
    context: Parameters<typeof attributesOf>[1] & { error?: unknown },
    topic?: string,
  ): Attributes {
    const { error } = context
    return {
      ...attributesOf(of, context, topic),
      ...(error !== undefined && { 'error.type': errorType(error) }),
      ...this.#options.attributes,
    }
  }

  /** Made when first needed: the global provider of meters, unlike that of spans, cannot be exchanged afterwards. */
  get #instruments(): Made {
    this.#made ??= this.#make()
    return this.#made
  }

  #make(): Made {
    const meter = (this.#options.meterProvider ?? this.#api.metrics).getMeter('dohle')
    const duration = (name: string, description: string) =>
      meter.createHistogram(name, { description, unit: 's', advice: { explicitBucketBoundaries: SECONDS } })
    const messages = (name: string, description: string) =>
      meter.createCounter(name, { description, unit: '{message}' })
    return {
      operation: duration('messaging.client.operation.duration', 'Duration of messaging operations.'),
      process: duration('messaging.process.duration', 'Duration of processing messages.'),
      sent: messages('messaging.client.sent.messages', 'Messages that the producer attempted to send.'),
      consumed: messages('messaging.client.consumed.messages', 'Messages that were delivered to the program.'),
    }
  }
}
