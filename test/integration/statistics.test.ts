/** The paths of our statistics and of librdkafka's, as both tell them of the same work on a real broker. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Kafka } from '../../ts/index.ts'
import { unique } from '../support.ts'
import { interpreter } from './peers/confluent.ts'
import { command } from './peers/peer.ts'
import { created, realKafka, type Server } from './servers.ts'

const program = fileURLToPath(new URL('./peers/stats.py', import.meta.url))
/** Objects whose members are named by what there is. */
const open = ['brokers', 'brokers.*.req', 'brokers.*.toppars', 'topics', 'topics.*.partitions']
const windows = ['brokers.*.int_latency', 'brokers.*.outbuf_latency', 'brokers.*.rtt', 'brokers.*.throttle']
windows.push('topics.*.batchsize', 'topics.*.batchcnt')

/** Of librdkafka's, what docs/observability.md says is left out, and why. */
const leftOut = [
  ...['replyq', 'msg_max', 'simple_cnt'],
  ...['stateage', 'outbuf_msg_cnt', 'waitresp_msg_cnt', 'rxerrs', 'rxcorriderrs', 'rxpartial', 'zbuf_grow'].map(
    name => `brokers.*.${name}`,
  ),
  ...['buf_grow', 'wakeups', 'rxidle', 'txidle'].map(name => `brokers.*.${name}`),
  ...windows.flatMap(window => ['stddev', 'hdrsize', 'outofrange'].map(name => `${window}.${name}`)),
  ...['age', 'metadata_age'].map(name => `topics.*.${name}`),
  ...['broker', 'desired', 'unknown', 'query_offset', 'eof_offset', 'commited_offset', 'leader_epoch', 'msgs'].map(
    name => `topics.*.partitions.*.${name}`,
  ),
  ...['stored_leader_epoch', 'committed_leader_epoch', 'rx_ver_drops'].map(name => `topics.*.partitions.*.${name}`),
  ...['next_ack_seq', 'next_err_seq', 'acked_msgid'].map(name => `topics.*.partitions.*.${name}`),
  ...['cgrp.stateage', 'cgrp.rebalance_reason', 'eos.idemp_stateage', 'eos.txn_stateage', 'eos.epoch_cnt'],
]

/** Of ours, what librdkafka does not have. */
const ours = [
  ...['ackmsgs', 'errmsgs', 'fetch_buffer_size', 'fetch_buffer_size_max'],
  ...['idle_ms', 'stalled', 'stalls'].map(name => `topics.*.partitions.*.${name}`),
]

function* paths(value: unknown, at = ''): Generator<string> {
  if (typeof value !== 'object' || value === null) {
    yield at
    return
  }
  for (const [name, member] of Object.entries(value)) {
    // `eos` of a consumer and `cgrp` of a producer.
    if (member === null && (name === 'eos' || name === 'cgrp')) continue
    const step = open.includes(at) ? '*' : name
    yield* paths(member, at === '' ? step : `${at}.${step}`)
  }
}

let server: Server
before(async () => {
  server = await realKafka()
})
after(() => server?.stop())

test('statistics have the paths of librdkafka, but for those that the documentation names', async () => {
  const topic = unique('statistics')
  await using kafka = new Kafka({ brokers: server.bootstrap })
  await created(kafka.admin(), [{ topic, partitions: 1 }])
  const told = (await command(await interpreter(), [program, server.bootstrap, topic])).toString()
  const theirs = new Set(told.split('\n').flatMap(line => (line === '' ? [] : [...paths(JSON.parse(line))])))
  assert.ok(theirs.size > 150, told)

  const producer = kafka.producer({ transactionalId: unique('statistics-t') })
  await producer.transaction(tx => tx.send({ topic, value: '2' }))
  const consumer = kafka.consumer({ groupId: unique('statistics-g'), autoOffsetReset: 'earliest' })
  await consumer.subscribe(topic)
  for await (const _ of consumer) break
  const found = new Set((await kafka.statistics()).flatMap(one => [...paths(JSON.parse(JSON.stringify(one)))]))

  const missing = [...theirs].filter(path => !found.has(path))
  const own = [...found].filter(path => !theirs.has(path))
  assert.deepEqual(missing.sort(), leftOut.sort())
  assert.deepEqual(own.sort(), ours.sort())

  const page = readFileSync(join(import.meta.dirname, '../../docs/observability.md'), 'utf8')
  const undocumented = [...leftOut, ...ours].filter(path => !RegExp(`[\`.]${path.split('.').at(-1)}\``).test(page))
  assert.deepEqual(undocumented, [])
})
