/**
 * Every public method with every kind of wrong argument, in every place. A call succeeds, or fails with a `KafkaError` that
 * names what is wrong, in the way its kind promises: what returns a promise never throws.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Broker } from '../ts/broker.ts'
import { type Admin, type Consumer, InvalidConfigurationError, Kafka, KafkaError, type Producer } from '../ts/index.ts'
import { assigned, setUp, take, unique } from './support.ts'

/** Longest time that a call may take: for what hangs, not for what is slow. */
const HANGS_MS = 120_000

const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

const thrower = () => ({
  get topic(): string {
    throw new TypeError('boom')
  },
  get signal(): AbortSignal {
    throw new RangeError('boom')
  },
})

/** What is tried in each place. Made anew for each use. */
const values: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  '0': () => 0,
  NaN: () => Number.NaN,
  Infinity: () => Number.POSITIVE_INFINITY,
  '-1': () => -1,
  '1.5': () => 1.5,
  '2 ** 31': () => 2 ** 31,
  '2 ** 60': () => 2 ** 60,
  'an empty string': () => '',
  x: () => 'x',
  'half a surrogate pair': () => 'a\ud800b',
  'a huge string': () => 'x'.repeat(2 ** 22),
  true: () => true,
  'an empty array': () => [],
  'an array of null': () => [null],
  'an empty object': () => ({}),
  'an object of slips': () => ({ singal: 1 }),
  'an object without a prototype': () => Object.create(null),
  'a symbol': () => Symbol('s'),
  'a function': () => () => {},
  'a bigint': () => 1n,
  'a date that is none': () => new Date(Number.NaN),
  'a map': () => new Map([['a', 'b']]),
  'a Uint8Array': () => new Uint8Array(3),
  'a proxy': () => new Proxy({}, {}),
  'a proxy of a Uint8Array': () => new Proxy(new Uint8Array(3), {}),
  'a revoked proxy': revoked,
  'an object whose getters throw': thrower,
  'an object that says it is a thing': () => ({ constructor: { name: Symbol('s') } }),
}

interface World {
  kafka: Kafka
  broker: Broker
  producer: Producer
  consumer: Consumer
  admin: Admin
  topic: string
}

/** A call with one place in it for the value. */
interface Row {
  name: string
  /** `sync`: returns or throws. `async`: a promise. `send`: a promise whose rejection tells whether it was written. */
  kind: 'sync' | 'async' | 'send'
  // biome-ignore lint/suspicious/noExplicitAny: wrong types are the point
  call(world: World, value: any): unknown
}

const rows: Row[] = []
const add = (kind: Row['kind'], calls: Record<string, Row['call']>) => {
  for (const [name, call] of Object.entries(calls)) rows.push({ name, kind, call })
}

/** Calls that close what they are made on get one of their own. */
const ownProducer = (world: World, use: (producer: Producer) => unknown) => use(world.kafka.producer())

/** A client with TLS, which nothing is asked of. */
async function encrypted(world: World, use: (kafka: Kafka) => Promise<void>) {
  await using kafka = new Kafka({ brokers: world.broker.address, tls: true })
  await use(kafka)
}

/** A call that would go on until the consumer closes. */
async function untilClosed(world: World, use: (consumer: Consumer) => Promise<unknown>) {
  const consumer = world.kafka.consumer()
  const called = use(consumer)
  called.catch(() => {})
  await consumer.close()
  await called
}

/** A wait for what the embedded broker never gives. */
async function untilIdless(client: Producer | Consumer, timeout: number) {
  const waiting = client.clientInstanceId(timeout)
  waiting.catch(() => {})
  await client.close()
  return await waiting
}

/** A stream that is ended at once. */
function streamed(world: World, use: (consumer: Consumer) => { cancel?(): unknown; destroy?(): unknown }) {
  const consumer = world.kafka.consumer()
  try {
    const stream = use(consumer)
    stream.cancel?.()
    stream.destroy?.()
  } finally {
    void consumer.close()
  }
}

async function started(starting: Promise<Broker>) {
  const broker = await starting
  await broker.stop()
}

add('sync', {
  'new Kafka(x)': (_, v) => new Kafka(v),
  'new Kafka({ brokers: x })': (_, v) => new Kafka({ brokers: v }),
  'new Kafka({ brokers: [x] })': (_, v) => new Kafka({ brokers: [v] }),
  'new Kafka({ clientId: x })': (_, v) => new Kafka({ brokers: '127.0.0.1:1', clientId: v }),
  'kafka.producer(x)': ({ kafka }, v) => kafka.producer(v),
  'kafka.producer({ acks: x })': ({ kafka }, v) => kafka.producer({ acks: v }),
  'kafka.producer({ lingerMs: x })': ({ kafka }, v) => kafka.producer({ lingerMs: v }),
  'kafka.producer({ compression: x })': ({ kafka }, v) => kafka.producer({ compression: v }),
  'kafka.consumer(x)': ({ kafka }, v) => kafka.consumer(v),
  'kafka.consumer({ groupId: x })': ({ kafka }, v) => kafka.consumer({ groupId: v }),
  'kafka.partition(x)': ({ kafka }, v) => kafka.partition(v, 0),
  'kafka.partition(topic, x)': ({ kafka, topic }, v) => kafka.partition(topic, v),
  'producer.tryEnqueue(x)': ({ producer }, v) => producer.tryEnqueue(v),
  'producer.tryEnqueue({ value: x })': ({ producer, topic }, v) => producer.tryEnqueue({ topic, value: v }),
  'consumer.messages(x)': ({ consumer }, v) => consumer.messages(v),
  'consumer.messages({ signal: x })': ({ consumer }, v) => consumer.messages({ signal: v }),
  'consumer.batches(x)': ({ consumer }, v) => consumer.batches(v),
  'consumer.batches({ signal: x })': ({ consumer }, v) => consumer.batches({ signal: v }),
  'consumer.stream(x)': (world, v) => streamed(world, consumer => consumer.stream(v)),
  'consumer.readable(x)': (world, v) => streamed(world, consumer => consumer.readable(v)),
  'consumer.readable({ signal: x })': (world, v) => streamed(world, consumer => consumer.readable({ signal: v })),
  'consumer.seek(x)': ({ consumer }, v) => consumer.seek(v),
  'consumer.seek({ topic: x })': ({ consumer }, v) => consumer.seek({ topic: v, partition: 0, offset: 0 }),
  'consumer.seek({ partition: x })': ({ consumer, topic }, v) => consumer.seek({ topic, partition: v, offset: 0 }),
  'consumer.seek({ offset: x })': ({ consumer, topic }, v) => consumer.seek({ topic, partition: 0, offset: v }),
  'consumer.seek({ offset: { timestamp: x } })': ({ consumer, topic }, v) =>
    consumer.seek({ topic, partition: 0, offset: { timestamp: v } }),
  'broker.faults.add(x)': ({ broker }, v) => broker.faults.add(v),
  'broker.faults.add({ action: x })': ({ broker }, v) => broker.faults.add({ action: v }),
  'message.headers.get(x)': (_, v) => v,
})
rows.pop()

for (const method of ['pause', 'resume'] as const) {
  add('sync', {
    [`consumer.${method}(x)`]: ({ consumer }, v) => consumer[method](v),
    [`consumer.${method}([x])`]: ({ consumer }, v) => consumer[method]([v]),
    [`consumer.${method}([{ topic: x }])`]: ({ consumer }, v) => consumer[method]([{ topic: v, partition: 0 }]),
    [`consumer.${method}([{ partition: x }])`]: ({ consumer, topic }, v) => consumer[method]([{ topic, partition: v }]),
  })
}
for (const field of ['minBytes', 'maxBytes', 'maxWaitMs', 'readCommitted', 'signal'] as const) {
  add('async', {
    [`partition.fetch(offset, { ${field}: x })`]: async ({ kafka, topic }, v) => {
      const log = kafka.partition(topic, 0)
      const { offset } = await log.produce([{ value: 'there is something' }])
      await log.fetch(offset, { [field]: v })
    },
  })
}
for (const field of ['key', 'value', 'headers', 'timestamp'] as const) {
  add('async', {
    [`partition.produce([{ ${field}: x }])`]: ({ kafka, topic }, v) =>
      kafka.partition(topic, 0).produce([{ value: 'v', [field]: v }]),
  })
}
add('async', {
  'partition.fetch(x)': ({ kafka, topic }, v) => kafka.partition(topic, 0).fetch(v),
  'partition.fetch(offset, x)': ({ kafka, topic }, v) => kafka.partition(topic, 0).fetch(0, v),
  'partition.produce(x)': ({ kafka, topic }, v) => kafka.partition(topic, 0).produce(v),
  'partition.produce([x])': ({ kafka, topic }, v) => kafka.partition(topic, 0).produce([v]),
  'partition.produce(records, x)': ({ kafka, topic }, v) => kafka.partition(topic, 0).produce([{ value: 'v' }], v),
  'partition.produce(records, { compression: x })': ({ kafka, topic }, v) =>
    kafka.partition(topic, 0).produce([{ value: 'v' }], { compression: v }),
})
for (const method of ['position', 'lag', 'watermarks'] as const) {
  add('sync', {
    [`consumer.${method}(x)`]: ({ consumer }, v) => consumer[method](v),
    [`consumer.${method}({ topic: x })`]: ({ consumer }, v) => consumer[method]({ topic: v, partition: 0 }),
    [`consumer.${method}({ partition: x })`]: ({ consumer, topic }, v) => consumer[method]({ topic, partition: v }),
  })
}
for (const field of ['api', 'topic', 'partition', 'clientId', 'nth', 'count'] as const) {
  add('sync', {
    [`broker.faults.add({ ${field}: x })`]: ({ broker }, v) =>
      broker.faults.add({ action: { kind: 'delay', ms: 0, when: 'before' }, [field]: v }),
  })
}
for (const field of ['kind', 'code', 'when', 'ms'] as const) {
  add('sync', {
    [`broker.faults.add({ action: { ${field}: x } })`]: ({ broker }, v) =>
      broker.faults.add({
        action: { kind: field === 'ms' ? 'delay' : 'error', code: 7, when: 'before', [field]: v } as never,
      }),
  })
}

add('send', {
  'producer.send(x)': ({ producer }, v) => producer.send(v),
  'producer.send({ topic: x })': ({ producer }, v) => producer.send({ topic: v, value: 'v' }),
  'producer.send({ headers: { a: x } })': ({ producer, topic }, v) =>
    producer.send({ topic, value: 'v', headers: { a: v } }),
  'producer.send({ headers: [x] })': ({ producer, topic }, v) => producer.send({ topic, value: 'v', headers: [v] }),
  'producer.send({ headers: [[x, x]] })': ({ producer, topic }, v) =>
    producer.send({ topic, value: 'v', headers: [[v, v]] }),
  'producer.send(message, x)': ({ producer, topic }, v) => producer.send({ topic, value: 'v' }, v),
  'producer.send(message, { signal: x })': ({ producer, topic }, v) =>
    producer.send({ topic, value: 'v' }, { signal: v }),
  'producer.sendBatch(x)': ({ producer }, v) => producer.sendBatch(v),
  'producer.sendBatch({ topic: x })': ({ producer }, v) => producer.sendBatch({ topic: v, messages: [{ value: 'v' }] }),
  'producer.sendBatch({ messages: x })': ({ producer, topic }, v) => producer.sendBatch({ topic, messages: v }),
  'producer.sendBatch({ messages: [message, x] })': ({ producer, topic }, v) =>
    producer.sendBatch({ topic, messages: [{ value: 'v' }, v] }),
  'producer.sendBatch(batch, x)': ({ producer, topic }, v) =>
    producer.sendBatch({ topic, messages: [{ value: 'v' }] }, v),
  'producer.sendBatch(batch, { signal: x })': ({ producer, topic }, v) =>
    producer.sendBatch({ topic, messages: [{ value: 'v' }] }, { signal: v }),
})
for (const field of ['value', 'key', 'headers', 'partition', 'timestamp'] as const) {
  add('send', {
    [`producer.send({ ${field}: x })`]: ({ producer, topic }, v) => producer.send({ topic, value: 'v', [field]: v }),
    [`producer.sendBatch({ messages: [{ ${field}: x }] })`]: ({ producer, topic }, v) =>
      producer.sendBatch({ topic, messages: [{ value: 'v' }, { value: 'v', [field]: v }] }),
  })
}

add('async', {
  'kafka.close(x)': ({ broker }, v) => new Kafka({ brokers: broker.address }).close(v),
  'kafka.close({ timeout: x })': ({ broker }, v) => new Kafka({ brokers: broker.address }).close({ timeout: v }),
  'kafka.setTls(x)': (world, v) => encrypted(world, kafka => kafka.setTls(v)),
  'kafka.setTls({ ca: x })': (world, v) => encrypted(world, kafka => kafka.setTls({ ca: v })),
  'kafka.setTls({ cert: x, key: x })': (world, v) => encrypted(world, kafka => kafka.setTls({ cert: v, key: v })),
  'producer.close(x)': (world, v) => ownProducer(world, producer => producer.close(v)),
  'producer.close({ timeout: x })': (world, v) => ownProducer(world, producer => producer.close({ timeout: v })),
  'producer.clientInstanceId(x)': (world, v) => ownProducer(world, producer => untilIdless(producer, v)),
  'producer.transaction(x)': ({ producer }, v) => producer.transaction(v),
  'producer.transaction(work, x)': ({ producer }, v) => producer.transaction(() => {}, v),
  'producer.beginTransaction(x)': ({ producer }, v) => producer.beginTransaction(v),
  'producer.beginTransaction({ signal: x })': ({ producer }, v) => producer.beginTransaction({ signal: v }),
  'producer.beginTransaction({ consumer: x })': ({ producer }, v) => producer.beginTransaction({ consumer: v }),
  'producer.ready(x)': ({ producer }, v) => producer.ready(v),
  'producer.flush(x)': ({ producer }, v) => producer.flush(v),
  'producer.partitionsFor(x)': ({ producer }, v) => producer.partitionsFor(v),
  'producer.partitionsFor(topic, x)': ({ producer, topic }, v) => producer.partitionsFor(topic, v),
  'producer.flush({ signal: x })': ({ producer }, v) => producer.flush({ signal: v }),
  'consumer.close(x)': ({ kafka }, v) => kafka.consumer().close(v),
  'consumer.close({ timeout: x })': ({ kafka }, v) => kafka.consumer().close({ timeout: v }),
  'consumer.clientInstanceId(x)': ({ kafka }, v) => untilIdless(kafka.consumer(), v),
  'consumer.subscribe(x)': ({ kafka }, v) => kafka.consumer({ groupId: unique('g') }).subscribe(v),
  'consumer.subscribe([x])': ({ kafka }, v) => kafka.consumer({ groupId: unique('g') }).subscribe([v]),
  'consumer.subscribe(topic, x)': ({ kafka, topic }, v) => kafka.consumer({ groupId: unique('g') }).subscribe(topic, v),
  'consumer.subscribe(topic, { onAssigned: x })': ({ kafka, topic }, v) =>
    kafka.consumer({ groupId: unique('g') }).subscribe(topic, { onAssigned: v }),
  'consumer.unsubscribe(x)': ({ kafka }, v) => kafka.consumer().unsubscribe(v),
  'consumer.assign(x)': ({ kafka }, v) => kafka.consumer().assign(v),
  'consumer.assign([x])': ({ kafka }, v) => kafka.consumer().assign([v]),
  'consumer.assign([{ topic: x }])': ({ kafka }, v) => kafka.consumer().assign([{ topic: v, partition: 0 }]),
  'consumer.assign([{ partition: x }])': ({ kafka, topic }, v) => kafka.consumer().assign([{ topic, partition: v }]),
  'consumer.assign([{ offset: x }])': ({ kafka, topic }, v) =>
    kafka.consumer().assign([{ topic, partition: 0, offset: v }]),
  'consumer.assign([], x)': ({ kafka }, v) => kafka.consumer().assign([], v),
  'consumer.forEach(x)': (world, v) => untilClosed(world, consumer => consumer.forEach(v)),
  'consumer.forEach(handler, x)': (world, v) => untilClosed(world, consumer => consumer.forEach(() => {}, v)),
  'consumer.forEach(handler, { concurrency: x })': (world, v) =>
    untilClosed(world, consumer => consumer.forEach(() => {}, { concurrency: v })),
  'consumer.commit(x)': ({ consumer }, v) => consumer.commit(v),
  'consumer.commit([x])': ({ consumer }, v) => consumer.commit([v]),
  'consumer.commit([], x)': ({ consumer }, v) => consumer.commit([], v),
  'consumer.committed(x)': ({ consumer }, v) => consumer.committed(v),
  'consumer.partitionsFor(x)': ({ consumer }, v) => consumer.partitionsFor(v),
  'consumer.partitionsFor(topic, x)': ({ consumer, topic }, v) => consumer.partitionsFor(topic, v),
  'consumer.committed([x])': ({ consumer }, v) => consumer.committed([v]),
  'consumer.committed([], x)': ({ consumer }, v) => consumer.committed([], v),
  'consumer.offsetsAt(x)': ({ consumer }, v) => consumer.offsetsAt(v),
  'consumer.offsetsAt([x])': ({ consumer }, v) => consumer.offsetsAt([v]),
  'consumer.offsetsAt([{ offset: x }])': ({ consumer, topic }, v) =>
    consumer.offsetsAt([{ topic, partition: 0, offset: v }]),
  'consumer.offsetsAt([], x)': ({ consumer }, v) => consumer.offsetsAt([], v),
  'admin.createTopics(x)': ({ admin }, v) => admin.createTopics(v),
  'admin.createTopics([x])': ({ admin }, v) => admin.createTopics([v]),
  'admin.createTopics([], x)': ({ admin }, v) => admin.createTopics([], v),
  'admin.deleteTopics(x)': ({ admin }, v) => admin.deleteTopics(v),
  'admin.deleteTopics([x])': ({ admin }, v) => admin.deleteTopics([v]),
  'admin.deleteTopics([], x)': ({ admin }, v) => admin.deleteTopics([], v),
  'admin.describeTopics(x)': ({ admin }, v) => admin.describeTopics(v),
  'admin.describeTopics([x])': ({ admin }, v) => admin.describeTopics([v]),
  'admin.listTopics(x)': ({ admin }, v) => admin.listTopics(v),
  'admin.listTopics({ includeInternal: x })': ({ admin }, v) => admin.listTopics({ includeInternal: v }),
  'admin.listTopics({ signal: x })': ({ admin }, v) => admin.listTopics({ signal: v }),
  'admin.listTopics({ timeoutMs: x })': ({ admin }, v) => admin.listTopics({ timeoutMs: v }),
  'admin.describeCluster(x)': ({ admin }, v) => admin.describeCluster(v),
  'admin.deleteTopicsById([x])': ({ admin }, v) => admin.deleteTopicsById([v]),
  'admin.describeTopics([], { partitionsPerRequest: x })': ({ admin, topic }, v) =>
    admin.describeTopics([topic], { partitionsPerRequest: v }),
  'admin.createPartitions([x])': ({ admin }, v) => admin.createPartitions([v]),
  'admin.createPartitions([{ count: x }])': ({ admin }, v) =>
    admin.createPartitions([{ topic: unique('none'), count: v }], { validateOnly: true }),
  'admin.deleteRecords([x])': ({ admin }, v) => admin.deleteRecords([v]),
  'admin.deleteRecords([{ beforeOffset: x }])': ({ admin }, v) =>
    admin.deleteRecords([{ topic: 'none', partition: 0, beforeOffset: v }], { timeoutMs: 1 }),
  'admin.listOffsets([x])': ({ admin }, v) => admin.listOffsets([v]),
  'admin.listOffsets([{ offset: x }])': ({ admin, topic }, v) =>
    admin.listOffsets([{ topic, partition: 0, offset: v }]),
  'admin.listOffsets([{ offset: { timestamp: x } }])': ({ admin, topic }, v) =>
    admin.listOffsets([{ topic, partition: 0, offset: { kind: 'timestamp', timestamp: v } }]),
  'admin.electLeaders(x)': ({ admin }, v) => admin.electLeaders(v),
  'admin.electLeaders(election, { partitions: [x] })': ({ admin }, v) =>
    admin.electLeaders('preferred', { partitions: [v] }),
  'admin.describeConfigs([x])': ({ admin }, v) => admin.describeConfigs([v]),
  'admin.describeConfigs([{ type: x }])': ({ admin, topic }, v) => admin.describeConfigs([{ type: v, name: topic }]),
  'admin.describeConfigs([{ name: x }])': ({ admin }, v) => admin.describeConfigs([{ type: 'BROKER', name: v }]),
  'admin.incrementalAlterConfigs([x])': ({ admin }, v) => admin.incrementalAlterConfigs([v]),
  'admin.incrementalAlterConfigs([{ configs: [x] }])': ({ admin, topic }, v) =>
    admin.incrementalAlterConfigs([{ type: 'TOPIC', name: topic, configs: [v] }]),
  'admin.listConfigResources({ types: [x] })': ({ admin }, v) => admin.listConfigResources({ types: [v] }),
  'Broker.start(x)': (_, v) => started(Broker.start(v)),
  'Broker.start({}, x)': (_, v) => started(Broker.start({}, v)),
  'Broker.start({}, { signal: x })': (_, v) => started(Broker.start({}, { signal: v })),
})
// Short: the embedded broker does not serve all of them, and a name that is taken need not be waited for.
const brief = { timeoutMs: 2_000 }
add('async', {
  'admin.describeGroupLag(x)': ({ admin }, v) => admin.describeGroupLag(v, brief),
  'admin.describeGroupLag([x])': ({ admin }, v) => admin.describeGroupLag([v], brief),
  'admin.describeGroups(x)': ({ admin }, v) => admin.describeGroups(v, brief),
  'admin.describeGroups([x])': ({ admin }, v) => admin.describeGroups([v], brief),
  'admin.listGroups({ states: x })': ({ admin }, v) => admin.listGroups({ ...brief, states: v }),
  'admin.deleteGroups([x])': ({ admin }, v) => admin.deleteGroups([v], brief),
  'admin.listConsumerGroupOffsets([x])': ({ admin }, v) => admin.listConsumerGroupOffsets([v], brief),
  'admin.listConsumerGroupOffsets([{ partitions: x }])': ({ admin }, v) =>
    admin.listConsumerGroupOffsets([{ groupId: 'g', partitions: v }], brief),
  'admin.alterConsumerGroupOffsets(x)': ({ admin }, v) => admin.alterConsumerGroupOffsets(v, [], brief),
  'admin.alterConsumerGroupOffsets(group, [x])': ({ admin }, v) => admin.alterConsumerGroupOffsets('g', [v], brief),
  'admin.deleteConsumerGroupOffsets(group, [x])': ({ admin }, v) => admin.deleteConsumerGroupOffsets('g', [v], brief),
  'admin.removeMembersFromConsumerGroup(x)': ({ admin }, v) => admin.removeMembersFromConsumerGroup(v, brief),
  'admin.removeMembersFromConsumerGroup(group, { members: [x] })': ({ admin }, v) =>
    admin.removeMembersFromConsumerGroup('g', { ...brief, members: [v] }),
  'admin.listShareGroupOffsets([x])': ({ admin }, v) => admin.listShareGroupOffsets([v], brief),
  'admin.alterShareGroupOffsets(group, [x])': ({ admin }, v) => admin.alterShareGroupOffsets('g', [v], brief),
  'admin.deleteShareGroupOffsets(group, [x])': ({ admin }, v) => admin.deleteShareGroupOffsets('g', [v], brief),
  'admin.createAcls([x])': ({ admin }, v) => admin.createAcls([v], brief),
  'admin.describeAcls(x)': ({ admin }, v) => admin.describeAcls(v, brief),
  'admin.describeAcls({ operation: x })': ({ admin }, v) => admin.describeAcls({ operation: v }, brief),
  'admin.deleteAcls([x])': ({ admin }, v) => admin.deleteAcls([v], brief),
  'admin.describeClientQuotas([x])': ({ admin }, v) => admin.describeClientQuotas([v], brief),
  'admin.alterClientQuotas([x])': ({ admin }, v) => admin.alterClientQuotas([v], brief),
  'admin.alterClientQuotas([{ set: x }])': ({ admin }, v) => admin.alterClientQuotas([{ entity: [], set: v }], brief),
  'admin.describeUserScramCredentials({ users: x })': ({ admin }, v) =>
    admin.describeUserScramCredentials({ ...brief, users: v }),
  'admin.alterUserScramCredentials([x])': ({ admin }, v) => admin.alterUserScramCredentials([v], brief),
  'admin.alterUserScramCredentials([{ password: x }])': ({ admin }, v) =>
    admin.alterUserScramCredentials([{ user: 'u', mechanism: 'SCRAM-SHA-256', password: v }], brief),
  'admin.createDelegationToken({ lifetimeMs: x })': ({ admin }, v) =>
    admin.createDelegationToken({ ...brief, lifetimeMs: v }),
  'admin.renewDelegationToken(x)': ({ admin }, v) => admin.renewDelegationToken(v, brief),
  'admin.expireDelegationToken(x)': ({ admin }, v) => admin.expireDelegationToken(v, brief),
  'admin.describeLogDirs({ brokers: x })': ({ admin }, v) => admin.describeLogDirs({ ...brief, brokers: v }),
  'admin.alterReplicaLogDirs([x])': ({ admin }, v) => admin.alterReplicaLogDirs([v], brief),
  'admin.alterPartitionReassignments([x])': ({ admin }, v) => admin.alterPartitionReassignments([v], brief),
  'admin.listPartitionReassignments({ partitions: [x] })': ({ admin }, v) =>
    admin.listPartitionReassignments({ ...brief, partitions: [v] }),
  'admin.listTransactions({ states: x })': ({ admin }, v) => admin.listTransactions({ ...brief, states: v }),
  'admin.describeTransactions([x])': ({ admin }, v) => admin.describeTransactions([v], brief),
  'admin.describeProducers([x])': ({ admin }, v) => admin.describeProducers([v], brief),
  'admin.abortTransaction(x)': ({ admin }, v) => admin.abortTransaction(v, brief),
  'admin.fenceProducers([x])': ({ admin }, v) => admin.fenceProducers([v], brief),
  'admin.updateFeatures([x])': ({ admin }, v) => admin.updateFeatures([v], brief),
  'admin.addRaftVoter(x)': ({ admin }, v) => admin.addRaftVoter(v, [], brief),
  'admin.addRaftVoter(voter, [x])': ({ admin }, v) =>
    admin.addRaftVoter({ id: 1, directory: 'AAAAAAAAAAAAAAAAAAAAAQ' }, [v], brief),
  'admin.removeRaftVoter(x)': ({ admin }, v) => admin.removeRaftVoter(v, brief),
  'admin.unregisterBroker(x)': ({ admin }, v) => admin.unregisterBroker(v, brief),
})
for (const field of ['topic', 'partition', 'offset', 'leaderEpoch', 'metadata'] as const) {
  add('async', {
    [`consumer.commit([{ ${field}: x }])`]: ({ consumer, topic }, v) =>
      consumer.commit([{ topic, partition: 0, offset: 1, [field]: v }]),
  })
}
for (const field of ['topic', 'partitions', 'replicationFactor', 'assignments', 'configs'] as const) {
  add('async', {
    [`admin.createTopics([{ ${field}: x }])`]: ({ admin }, v) =>
      admin.createTopics([{ topic: unique('made'), [field]: v }], { validateOnly: true }),
  })
}
for (const field of ['partitions', 'nodeId', 'maxMessageBytes', 'retentionBytes', 'advertisedPort', 'clusterId']) {
  add('async', { [`Broker.start({ ${field}: x })`]: (_, v) => started(Broker.start({ [field]: v })) })
}

/** How a call ended: nothing, or what is wrong with the way it failed. */
async function outcome({ kind, call }: Row, world: World, value: unknown): Promise<string | undefined> {
  let returned: unknown
  try {
    returned = call(world, value)
  } catch (error) {
    return kind === 'sync' ? fault(error) : `threw instead of rejecting: ${error}`
  }
  if (kind === 'sync') return undefined
  const late = new AbortController()
  const hangs = sleep(HANGS_MS, 'hangs', { signal: late.signal, ref: false }).catch(() => undefined)
  const ended = Promise.resolve(returned).then(
    () => undefined,
    error => fault(error) ?? (kind === 'send' ? unfated(error) : undefined),
  )
  const first = await Promise.race([ended, hangs])
  late.abort()
  return first
}

const ENGINE =
  /^tls\.\w+ \(ssl\.|topic name|topic's name|coordinator of (group|transactional id) |at least one topic|not assigned to this consumer|an offset to commit|metadata is too long/

function fault(error: unknown): string | undefined {
  if (!(error instanceof KafkaError)) return `not a KafkaError: ${error instanceof Error ? error.stack : typeof error}`
  if (typeof error.code !== 'string' || error.code === '' || error.code === 'PANIC') return `the code is ${error.code}`
  if (error.message.length > 2_100) return `a message of ${error.message.length} characters`
  if (!(error instanceof InvalidConfigurationError)) return undefined
  // At the border the argument is named by its path; the engine says it in words of its own.
  const named = /^[a-z][\w.[\]]*: \S/i.test(error.message) || ENGINE.test(error.message)
  return named ? undefined : `names no argument: ${error.message}`
}

const unfated = ({ persistence }: KafkaError) =>
  persistence === undefined ? 'does not tell whether it is written' : undefined

describe('an argument of a wrong kind', () => {
  const context = setUp()
  const world = {} as World

  before(async () => {
    const { kafka, broker } = context
    const topic = unique('arguments')
    await kafka.admin().createTopics([{ topic, partitions: 1 }])
    const consumer = kafka.consumer({ groupId: unique('g'), enableAutoCommit: false })
    await consumer.assign([{ topic, partition: 0, offset: 0 }])
    Object.assign(world, { kafka, broker, topic, consumer, admin: kafka.admin(), producer: kafka.producer() })
  })
  after(() => Promise.all([world.producer.close().catch(() => {}), world.consumer.close()]))

  for (const row of rows) {
    test(`is refused by name or taken, never a defect: ${row.name}`, async () => {
      const faults: string[] = []
      for (const [name, make] of Object.entries(values)) {
        const found = await outcome(row, world, make())
        if (found !== undefined) faults.push(`x = ${name}: ${found}`)
        world.broker.faults.clear()
      }
      assert.deepEqual(faults, [])
    })
  }

  test('leaves everything usable', async () => {
    const { kafka, producer, topic } = world
    await producer.flush().catch(() => {})
    const { offset } = await producer.send({ topic, value: 'last' })
    const consumer = await assigned(kafka, topic)
    consumer.seek({ topic, partition: 0, offset })
    assert.deepEqual(await take(consumer, 1), ['0:last'])
    await consumer.close()
  })
})

test('a wait for an id has no default', async () => {
  await using kafka = new Kafka({ brokers: '127.0.0.1:1' })
  for (const client of [kafka.producer(), kafka.consumer()]) {
    const waiting = client.clientInstanceId(undefined as never)
    await assert.rejects(waiting, { code: 'INVALID_ARGUMENT', message: /^timeout: is undefined, not milliseconds / })
  }
})

test('a function under the name of no option is told where the options are', () => {
  const wrong = (options: object) => () => new Kafka({ brokers: '127.0.0.1:1', ...options })
  const message = /^(logCreator|sasl\.oauthBearerProvider): is a function, .*docs\/configuration\.md/
  assert.throws(wrong({ logCreator: () => {} }), { code: 'INVALID_ARGUMENT', message })
  assert.throws(wrong({ sasl: { mechanism: 'OAUTHBEARER', oauthBearerProvider: () => {} } }), { message })
})

test('every public method is tried with wrong arguments', () => {
  const tried = (name: string) => rows.some(row => row.name.includes(`${name}(`))
  const nothing = ['constructor', 'admin', 'paused', 'assignment', 'subscription', 'groupMetadata', 'operate']
  const context = { Kafka, Broker, ...classes() }
  for (const [name, type] of Object.entries(context)) {
    const own = Object.getOwnPropertyNames(type.prototype).concat(
      Object.getOwnPropertyNames(Object.getPrototypeOf(type.prototype)),
    )
    const object = name === 'Faults' ? 'broker.faults' : name.toLowerCase()
    for (const method of own) {
      const { value } = Object.getOwnPropertyDescriptor(type.prototype, method) ?? {}
      if (typeof value !== 'function' || nothing.includes(method) || value.length === 0) continue
      assert.ok(tried(`${object}.${method}`), `${object}.${method}`)
    }
  }
})

function classes() {
  const kafka = new Kafka({ brokers: '127.0.0.1:1' })
  const [producer, consumer, admin] = [kafka.producer(), kafka.consumer(), kafka.admin()]
  const of = (object: object) => object.constructor as new () => object
  const all = {
    Producer: of(producer),
    Consumer: of(consumer),
    Admin: of(admin),
    Partition: of(kafka.partition('t', 0)),
  }
  void kafka.close()
  return all
}
