/** KIP-714 on a real broker, with a plugin that writes down what clients push. Both are made here. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { jars, javaCommand, KafkaServer } from '../../scripts/kafka.mjs'
import { run } from '../../scripts/lib/run.mjs'
import { Kafka } from '../../ts/index.ts'
import { becomes, created } from './servers.ts'

interface Measured {
  name: string
  value: number
  from: number
  to: number
  temporality?: string
  monotonic: boolean
  attributes: Record<string, string>
}

interface Push {
  instance: string
  type: string
  clientId: string
  terminating: boolean
  resource: Record<string, string>
  metrics: Measured[]
  error?: string
}

const folder = mkdtempSync(join(tmpdir(), 'dohle-telemetry-'))
const file = join(folder, 'pushed.jsonl')
let server: KafkaServer

before(async () => {
  const classes = join(folder, 'classes')
  mkdirSync(classes)
  const lib = await jars()
  const path = readdirSync(lib)
    .filter(name => name.endsWith('.jar'))
    .map(name => join(lib, name))
    .join(':')
  const source = join(import.meta.dirname, 'telemetry', 'Reporter.java')
  const compiler = ['-m', 'jdk.compiler/com.sun.tools.javac.Main', '-nowarn', '-cp', path, '-d', classes, source]
  await run(javaCommand, compiler, { capture: true })
  const properties = { 'metric.reporters': 'Reporter' }
  server = await KafkaServer.start({ properties, classes, env: { DOHLE_TELEMETRY: file } })
  await subscribe('org.apache.kafka.producer.,org.apache.kafka.consumer.')
})

/** What is asked of clients, told with our own admin. */
async function subscribe(metrics: string) {
  await using kafka = new Kafka({ brokers: server.bootstrap })
  const configs = [
    { name: 'metrics', value: metrics },
    { name: 'interval.ms', value: '300' },
  ]
  await kafka.admin().incrementalAlterConfigs([{ type: 'CLIENT_METRICS', name: 'all', configs }])
}

after(async () => {
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const pushes = (): Push[] =>
  existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter(line => line.endsWith('}'))
        .map(line => JSON.parse(line))
    : []

async function until<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const found = look()
    if (found !== undefined) return found
    await sleep(50)
  }
}

const named = ({ metrics }: Push, name: string) => metrics.find(one => one.name === `org.apache.kafka.${name}`)

test('a producer and a consumer push the metrics that the cluster asked for, and a last time when they close', async () => {
  const kafka = new Kafka({ brokers: server.bootstrap, clientId: 'measured' })
  await becomes(() => kafka.admin().listClientMetricsResources(), ['all'])
  await created(kafka.admin(), [{ topic: 'telemetry', partitions: 1 }])
  const producer = kafka.producer({ transactionalId: 'telemetry-t' })
  await producer.transaction(tx => tx.send({ topic: 'telemetry', value: '1' }))
  const consumer = kafka.consumer({
    groupId: 'telemetry',
    groupInstanceId: 'one',
    clientRack: 'r1',
    autoOffsetReset: 'earliest',
  })
  await consumer.subscribe('telemetry')
  for await (const message of consumer) {
    assert.equal(message.text(), '1')
    break
  }
  await consumer.commit()
  const out = await producer.clientInstanceId(60_000)
  const read = await consumer.clientInstanceId(60_000)
  assert.match(out, /^[\w-]{22}$/)
  assert.notEqual(out, read)

  const of = (instance: string, terminating: boolean) =>
    until(() => pushes().findLast(push => push.instance === instance && push.terminating === terminating))
  const sent = await of(out, false)
  assert.deepEqual(
    pushes().filter(({ error }) => error !== undefined),
    [],
  )
  assert.equal(sent.clientId, 'measured')
  assert.deepEqual(sent.resource, { client_id: 'measured', transactional_id: 'telemetry-t' })
  const total = named(sent, 'producer.connection.creation.total')
  assert.equal(total?.monotonic, true)
  assert.equal(total.temporality, 'AGGREGATION_TEMPORALITY_DELTA')
  assert.ok(total.to > total.from && total.from > 1e18)
  for (const name of ['producer.record.queue.time', 'producer.produce.throttle.time', 'producer.node.request.latency'])
    for (const kind of ['avg', 'max']) {
      const found = pushes().some(push => push.instance === out && named(push, `${name}.${kind}`) !== undefined)
      assert.ok(found, `${name}.${kind}`)
    }
  const first = pushes().find(push => push.instance === out)!
  assert.equal(named(first, 'producer.node.request.latency.avg')?.attributes.node_id, '1')
  const sums = pushes().filter(push => push.instance === out)
  assert.ok(named(sums[0]!, 'producer.connection.creation.total')!.value >= 1, 'the first tells all until then')

  // It may have pushed before it was a member, and before it was given the partition.
  const assigned = (push: Push) => named(push, 'consumer.coordinator.assigned.partitions')?.value
  const got = await until(() =>
    pushes().findLast(push => push.instance === read && push.resource.group_member_id && assigned(push) === 1),
  )
  const { group_member_id: member, ...resource } = got.resource
  assert.deepEqual(resource, {
    client_id: 'measured',
    group_id: 'telemetry',
    group_instance_id: 'one',
    client_rack: 'r1',
  })
  assert.match(member!, /^one-/)
  // A window without a fetch has 0.
  await until(() => pushes().find(push => (named(push, 'consumer.fetch.manager.fetch.latency.avg')?.value ?? 0) > 0))
  await until(() => pushes().find(push => (named(push, 'consumer.coordinator.commit.latency.max')?.value ?? 0) > 0))

  const idle = named(got, 'consumer.poll.idle.ratio.avg')?.value
  assert.ok(idle !== undefined && idle >= 0 && idle <= 1, `${idle}`)

  // What is asked for can change at any time.
  await subscribe('org.apache.kafka.producer.connection.creation.total')
  const narrowed = await until(() => pushes().findLast(push => push.instance === out && push.metrics.length === 1))
  assert.ok(named(narrowed, 'producer.connection.creation.total'))
  assert.equal(narrowed.clientId, 'measured', 'with the same id')
  const before = pushes().length
  await subscribe('org.apache.kafka.producer.,org.apache.kafka.consumer.')
  // Not before both know: a last push for what is asked for no more is refused.
  for (const instance of [out, read])
    await until(() =>
      pushes().find((push, at) => at >= before && push.instance === instance && push.metrics.length > 1),
    )

  await producer.close()
  await consumer.close()
  assert.equal((await of(out, true)).terminating, true)
  assert.equal((await of(read, true)).terminating, true)
  await kafka.close()
})

test('nothing is pushed with enableMetricsPush: false', async () => {
  const kafka = new Kafka({ brokers: server.bootstrap, clientId: 'silent', enableMetricsPush: false })
  const producer = kafka.producer()
  await producer.send({ topic: 'telemetry', value: '2' })
  await assert.rejects(producer.clientInstanceId(10_000), /enable\.metrics\.push/)
  const { brokers } = await producer.statistics()
  for (const broker of Object.values(brokers)) assert.equal(broker.req.GetTelemetrySubscriptions, undefined)
  await kafka.close()
  assert.deepEqual(
    pushes().filter(({ clientId }) => clientId === 'silent'),
    [],
  )
})
