import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { context as contexts, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { Kafka } from '../ts/index.ts'
import { type Instrumentation, instrument, traced } from '../ts/otel.ts'
import { deferred, numbers, setUp, unique } from './support.ts'

const exporter = new InMemorySpanExporter()
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
const measured = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({ exporter: measured, exportIntervalMillis: 3_600_000 })
const meterProvider = new MeterProvider({ readers: [reader] })

const spans = (name: string) => exporter.getFinishedSpans().filter(span => span.name.startsWith(name))
const tracer = tracerProvider.getTracer('test')

describe('dohle/otel', () => {
  const context = setUp()
  let instrumentation: Instrumentation

  before(() => {
    contexts.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    propagation.setGlobalPropagator(new W3CTraceContextPropagator())
    instrumentation = instrument({ tracerProvider, meterProvider, keys: true, attributes: { 'deployment.name': 'x' } })
  })
  after(async () => {
    instrumentation.disable()
    await meterProvider.shutdown()
  })
  beforeEach(() => exporter.reset())

  test('a trace goes on from the program through the send span into the handler of another process', async () => {
    const topic = await numbers(context.kafka, 0)
    exporter.reset()
    await using kafka = new Kafka({ brokers: context.broker.address, clientId: 'shop' })
    const producer = kafka.producer()
    await tracer.startActiveSpan('order', async span => {
      await producer.send({ topic, key: 'k', value: 'v' })
      span.end()
    })
    const groupId = unique('group')
    const consumer = kafka.consumer({ groupId })
    await consumer.assign([{ topic, partition: 0, offset: 0 }])
    const parent = deferred<string | null | undefined>()
    const handling = consumer.forEach(async message => {
      await new Promise(resolve => setImmediate(resolve))
      tracer.startSpan('work').end() // in what is active in the handler
      parent.resolve(message.headers.text('traceparent'))
    })
    const traceparent = await parent.promise
    await consumer.close()
    await handling

    const [order] = spans('order')
    const [send] = spans('send')
    const [process] = spans('process')
    const [work] = spans('work')
    const [poll] = spans('poll')
    assert.ok(order && send && process && work && poll)
    assert.equal(traceparent, `00-${send.spanContext().traceId}-${send.spanContext().spanId}-01`)
    assert.deepEqual(
      [send, process, work].map(span => [span.spanContext().traceId, span.parentSpanContext?.spanId]),
      [order, send, process].map(span => [order.spanContext().traceId, span.spanContext().spanId]),
    )
    assert.deepEqual([send.kind, poll.kind, process.kind], [SpanKind.PRODUCER, SpanKind.CLIENT, SpanKind.CONSUMER])
    for (const span of [poll, process])
      assert.deepEqual(
        span.links.map(link => link.context.spanId),
        [send.spanContext().spanId],
      )
    const [address, port] = context.broker.address.split(':')
    const common = {
      'messaging.system': 'kafka',
      'messaging.destination.name': topic,
      'messaging.destination.partition.id': '0',
      'messaging.client.id': 'shop',
      'server.address': address,
      'server.port': Number(port),
      'deployment.name': 'x',
    }
    const operation = (name: string, type: string) => ({
      'messaging.operation.name': name,
      'messaging.operation.type': type,
    })
    const record = { 'messaging.kafka.offset': 0, 'messaging.kafka.message.key': 'k' }
    const group = { 'messaging.consumer.group.name': groupId }
    assert.deepEqual([send.name, poll.name, process.name], [`send ${topic}`, `poll ${topic}`, `process ${topic}`])
    assert.deepEqual(send.attributes, { ...common, ...operation('send', 'send'), ...record })
    assert.deepEqual(process.attributes, { ...common, ...operation('process', 'process'), ...record, ...group })
    const batch = { 'messaging.batch.message_count': 1 }
    assert.deepEqual(poll.attributes, { ...common, ...operation('poll', 'receive'), ...batch, ...group })
  })

  test('a batch has one span, and records that bring a context of their own keep it, as a link', async () => {
    const topic = await numbers(context.kafka, 0)
    exporter.reset()
    const producer = context.kafka.producer()
    const own = tracer.startSpan('created')
    const traceparent = `00-${own.spanContext().traceId}-${own.spanContext().spanId}-01`
    own.end()
    await producer.sendBatch({ topic, messages: [{ value: null }, { value: '2', headers: { traceparent } }] })
    await producer.close()
    const [send] = spans('send')
    assert.equal(send?.attributes['messaging.batch.message_count'], 2)
    assert.deepEqual(
      send.links.map(link => link.context.spanId),
      [own.spanContext().spanId],
    )
    const consumer = context.kafka.consumer()
    await consumer.assign([{ topic, partition: 0, offset: 0 }])
    const found: (string | null | undefined)[] = []
    for await (const message of consumer) {
      await traced(message, () => found.push(message.headers.text('traceparent')))
      if (found.length === 2) break
    }
    await consumer.close()
    assert.deepEqual(found, [`00-${send.spanContext().traceId}-${send.spanContext().spanId}-01`, traceparent])
    const [first, second] = spans('process')
    assert.equal(first?.attributes['messaging.kafka.message.tombstone'], true)
    assert.equal(second?.parentSpanContext?.spanId, own.spanContext().spanId)
  })

  test('failures are on the span, with Kafka’s name of them', async () => {
    const producer = context.kafka.producer()
    await assert.rejects(producer.send({ topic: 'not/a topic', value: '' }))
    const [send] = spans('send')
    assert.equal(send?.attributes['error.type'], 'INVALID_TOPIC_EXCEPTION')
    assert.equal(send.status.code, SpanStatusCode.ERROR)
    assert.equal(send.events[0]?.name, 'exception')
    await producer.close()
    const topic = await numbers(context.kafka, 1)
    const consumer = context.kafka.consumer()
    await consumer.assign([{ topic, partition: 0, offset: 0 }])
    const thrown = new TypeError('no')
    await assert.rejects(
      consumer.forEach(() => {
        throw thrown
      }),
      thrown,
    )
    assert.equal(spans('process')[0]?.attributes['error.type'], 'TypeError')
    await consumer.close()
  })

  test('metrics have the names, units and attributes of the conventions', async () => {
    const topic = await numbers(context.kafka, 0)
    const producer = context.kafka.producer()
    await producer.sendBatch({ topic, messages: [{ value: '1' }, { value: '2' }] })
    const consumer = context.kafka.consumer({ groupId: unique('group'), enableAutoCommit: false })
    await consumer.assign([{ topic, partition: 0, offset: 0 }])
    let left = 2
    const { promise, resolve } = deferred<void>()
    const handling = consumer.forEach(() => {
      if (--left === 0) resolve()
    })
    await promise
    await consumer.commit()
    await Promise.all([consumer.close(), producer.close(), handling])
    await reader.forceFlush()
    const metrics = measured
      .getMetrics()
      .at(-1)!
      .scopeMetrics.flatMap(scope => scope.metrics)
    assert.deepEqual(Object.fromEntries(metrics.map(({ descriptor }) => [descriptor.name, descriptor.unit])), {
      'messaging.client.operation.duration': 's',
      'messaging.client.sent.messages': '{message}',
      'messaging.process.duration': 's',
      'messaging.client.consumed.messages': '{message}',
    })
    const of = (name: string) =>
      metrics
        .find(({ descriptor }) => descriptor.name === name)!
        .dataPoints.filter(({ attributes }) => attributes['messaging.destination.name'] === topic)
    assert.deepEqual(
      [of('messaging.client.sent.messages'), of('messaging.client.consumed.messages')].map(([point]) => point?.value),
      [2, 2],
    )
    assert.equal((of('messaging.process.duration')[0]!.value as { count: number }).count, 2)
    for (const { attributes } of metrics.flatMap(({ dataPoints }) => dataPoints as { attributes: object }[]))
      assert.ok(!('messaging.kafka.offset' in attributes || 'messaging.kafka.message.key' in attributes))
  })

  test('without @opentelemetry/api it says what is missing, and dohle itself does not need it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'dohle-otel-'))
    try {
      for (const name of ['ts', 'native.cjs', 'prebuilds', 'package.json'])
        symlinkSync(join(import.meta.dirname, '..', name), join(folder, name))
      const program = `
        const { instrument } = await import('${join(folder, 'ts/otel.ts')}')
        try { instrument() } catch (error) { console.log(error.message) }`
      writeFileSync(join(folder, 'main.mjs'), program)
      const modules = join(import.meta.dirname, '..', 'node_modules')
      const args = [
        '--preserve-symlinks',
        '--preserve-symlinks-main',
        '--import',
        join(modules, 'tsx/dist/esm/index.mjs'),
      ]
      const { stdout, stderr } = spawnSync(process.execPath, [...args, join(folder, 'main.mjs')], {
        encoding: 'utf8',
        cwd: folder,
      })
      assert.match(stdout, /^dohle\/otel needs @opentelemetry\/api, which is not installed: run 'npm install /, stderr)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('after disable nothing is traced and no header is added', async () => {
    const topic = await numbers(context.kafka, 0)
    instrumentation.disable()
    exporter.reset()
    const producer = context.kafka.producer()
    await tracer.startActiveSpan('outside', async span => {
      await producer.send({ topic, value: 'v' })
      span.end()
    })
    assert.deepEqual(
      exporter.getFinishedSpans().map(({ name }) => name),
      ['outside'],
    )
    assert.equal(trace.getActiveSpan(), undefined)
    await producer.close()
  })
})
