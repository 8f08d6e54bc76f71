/** Sessions that are recorded, sent again, and exported. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { available } from '../scripts/lib/tools.mjs'
import { Broker, type BrokerOptions, exportRecording, type ReplayReport, replay, StandIn } from '../ts/broker.ts'
import { Kafka } from '../ts/index.ts'
import { code, take } from './support.ts'

const run = promisify(execFile)
const cli = new URL('../ts/cli.ts', import.meta.url).pathname

/** A producer, a transaction, a group and admin calls, each after the other. */
async function session(brokers: string, topic = 'orders', copies = 1) {
  await using kafka = new Kafka({ brokers, clientId: 'recorded' })
  const admin = kafka.admin()
  await admin.createTopics([
    { topic, partitions: 2, replicationFactor: copies, configs: { 'retention.ms': '123456789' } },
  ])
  const producer = kafka.producer()
  for (let n = 0; n < 5; n++) await producer.send({ topic, partition: n % 2, key: `k${n}`, value: `v${n}` })
  const transactional = kafka.producer({ transactionalId: 'tx' })
  await transactional.transaction(async tx => {
    await tx.send({ topic, partition: 0, value: 'together' })
  })
  const consumer = kafka.consumer({ groupId: 'g', autoOffsetReset: 'earliest', enableAutoCommit: false })
  await consumer.subscribe(topic)
  const taken = await take(consumer, 6)
  await consumer.commit()
  await consumer.close()
  await admin.describeTopics([topic])
  await admin.describeConfigs([{ type: 'TOPIC', name: topic }])
  return taken.sort()
}

const told = ({ told }: ReplayReport) => told.map(({ request, what }) => `${request}: ${what}`)

describe('a recorded session', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'dohle-recording-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  async function recorded(name: string, options: BrokerOptions = {}, topic?: string) {
    const file = join(folder, name)
    await using broker = await Broker.start({ ...options, record: file })
    const taken = await session(broker.bootstrap, topic, options.nodes ?? 1)
    return { file, taken, port: broker.address.split(':')[1] as string }
  }

  for (const asVersion of ['4.3', '2.1'] as const) {
    test(`replayed to a fresh broker (${asVersion}) has the answers that were recorded`, async () => {
      const { file, taken } = await recorded(`same-${asVersion}`, { asVersion })
      await using broker = await Broker.start({ asVersion })
      const report = await replay(file, { to: broker.address })
      assert.deepEqual(told(report), [])
      assert.equal(report.differences, 0)
      assert.equal(report.torn, false)
      assert.ok(report.requests > 20 && report.compared > 20, JSON.stringify(report.requests))
      await using kafka = new Kafka({ brokers: broker.address })
      const consumer = kafka.consumer({ isolationLevel: 'read_committed' })
      await consumer.assign([0, 1].map(partition => ({ topic: 'orders', partition, offset: 0 })))
      assert.deepEqual((await take(consumer, 6)).sort(), taken, 'the records are there again')
    })
  }

  test('of three nodes has the answers of three nodes', async () => {
    const { file, taken } = await recorded('nodes', { nodes: 3 })
    await using broker = await Broker.start({ nodes: 3 })
    const report = await replay(file, { to: broker.address })
    assert.deepEqual(told(report), [])
    assert.ok(report.compared > 20, JSON.stringify(report.requests))
    await using kafka = new Kafka({ brokers: broker.bootstrap })
    const consumer = kafka.consumer({ isolationLevel: 'read_committed' })
    await consumer.assign([0, 1].map(partition => ({ topic: 'orders', partition, offset: 0 })))
    assert.deepEqual((await take(consumer, 6)).sort(), taken, 'the records are there again')
  })

  test('replayed to a broker that answers otherwise has differences, also as a command', async () => {
    const { file } = await recorded('other')
    await using broker = await Broker.start()
    broker.faults.add({ api: 'Produce', action: { kind: 'error', code: 'NOT_ENOUGH_REPLICAS', when: 'before' } })
    broker.faults.add({
      api: 'OffsetCommit',
      action: { kind: 'error', code: 'GROUP_AUTHORIZATION_FAILED', when: 'before' },
    })
    const failing = run(process.execPath, [
      '--import',
      import.meta.resolve('tsx'),
      cli,
      'replay',
      file,
      '--to',
      broker.address,
    ])
    const failed = (await failing.then(
      () => assert.fail('it ended with 0'),
      error => error,
    )) as { code: number; stdout: string }
    assert.equal(failed.code, 1, failed.stdout)
    assert.match(failed.stdout, /connection \d+: Produce v\d+: .*errorCode: was 0, is 19/)
    assert.match(failed.stdout, /connection \d+: OffsetCommit v\d+: .*errorCode: was 0, is 30/)
    assert.match(failed.stdout, /requests on \d+ connections, \d+ answers compared: [1-9]\d* differences\n$/)
    await using same = await Broker.start()
    const fine = await run(process.execPath, [
      '--import',
      import.meta.resolve('tsx'),
      cli,
      'replay',
      file,
      '--to',
      same.address,
    ])
    assert.match(fine.stdout, /: 0 differences\n$/)
  })

  test('has no password in it, and is replayed without its log-in', async () => {
    const file = join(folder, 'secret')
    const users = [{ name: 'alice', password: 'a password nobody may read' }]
    for (const mechanism of ['PLAIN', 'SCRAM-SHA-512'] as const) {
      rmSync(file, { force: true })
      await using broker = await Broker.start({ sasl: { users }, record: file })
      await using kafka = new Kafka({
        brokers: broker.address,
        sasl: { mechanism, username: 'alice', password: users[0]!.password, withoutTls: true },
      })
      await kafka.producer().send({ topic: 'secret', value: 'hello' })
      await kafka.close()
      await broker.stop()
      const bytes = readFileSync(file)
      assert.ok(bytes.includes('hello'))
      assert.ok(
        !bytes.includes(users[0]!.password) && !bytes.includes('n=alice') && !bytes.includes('c=biws'),
        mechanism,
      )
    }
    await using open = await Broker.start()
    const report = await replay(file, { to: open.address })
    assert.ok(report.leftOut > 0)
    assert.deepEqual(told(report), [])
  })

  test('that was cut off is replayed to its last whole frame', async () => {
    const { file } = await recorded('whole')
    const bytes = readFileSync(file)
    const cut = join(folder, 'cut')
    writeFileSync(cut, bytes.subarray(0, bytes.length - 25))
    await using broker = await Broker.start()
    const report = await replay(cut, { to: broker.address })
    assert.deepEqual([told(report), report.torn], [[], true])
  })

  test('is read by clients as it was, in a group too, from what stands in for its broker', async () => {
    const { file, taken } = await recorded('stand-in')
    await using standIn = await StandIn.start(file)
    await using kafka = new Kafka({ brokers: standIn.address })
    const consumer = kafka.consumer({ isolationLevel: 'read_committed' })
    await consumer.assign([0, 1].map(partition => ({ topic: 'orders', partition, offset: 0 })))
    assert.deepEqual((await take(consumer, 6)).sort(), taken)
    const member = kafka.consumer({ groupId: 'g', autoOffsetReset: 'earliest', enableAutoCommit: false })
    await member.subscribe('orders')
    assert.deepEqual((await take(member, 6)).sort(), taken)
    // What nobody asked in the recorded session fails, and does not hang.
    await assert.rejects(kafka.admin().deleteTopics(['orders']))
  })

  test('what is wrong is an error that names the file', async () => {
    const file = join(folder, 'none of ours')
    writeFileSync(file, 'something else altogether, and long enough')
    await using broker = await Broker.start()
    await assert.rejects(
      replay(file, { to: broker.address }),
      code('FILE_UNUSABLE', /none of ours: this is no recording/),
    )
    await assert.rejects(replay(join(folder, 'nothing'), { to: broker.address }), code('FILE_UNUSABLE', /nothing: /))
    await assert.rejects(replay(file, { to: 'nowhere' }), code('INVALID_ARGUMENT', /HOST:PORT/))
    await assert.rejects(Broker.start({ record: file }), code('FILE_UNUSABLE', /none of ours.*exists/))
    await assert.rejects(exportRecording(file, { pcap: join(folder, 'x.pcap') }), code('FILE_UNUSABLE'))
    assert.ok(!existsSync(join(folder, 'x.pcap')))
  })

  for (const asVersion of ['4.3', '2.1'] as const) {
    test(`exported as packets is decoded by tshark (${asVersion})`, async t => {
      if (!(await available('tshark', () => {}))) return t.skip('there is no tshark')
      const { file, port } = await recorded(`packets-${asVersion}`, { asVersion })
      const pcap = join(folder, `${asVersion}.pcap`)
      const exported = await exportRecording(file, { pcap })
      const tshark = async (...args: string[]) => {
        const decode = [
          '-r',
          pcap,
          '-d',
          `tcp.port==${port},kafka`,
          '-o',
          'tcp.check_checksum:TRUE',
          '-o',
          'ip.check_checksum:TRUE',
        ]
        return (await run('tshark', [...decode, ...args], { maxBuffer: 1 << 28 })).stdout
      }
      const fields = ['-e', 'kafka.api_key', '-e', 'kafka.correlation_id', '-e', 'kafka.len', '-E', 'occurrence=a']
      const lines = (await tshark('-Y', 'kafka', '-T', 'fields', ...fields)).trim().split('\n')
      const seen = lines.flatMap(line => {
        const [, ids = '', lengths = ''] = line.split('\t').map(column => column.split(',').filter(Boolean))
        return (ids as string[]).map((id, at) => ({ id: Number(id), length: Number((lengths as string[])[at]) }))
      })
      const expected = frames(file)
      assert.equal(seen.length, exported.frames)
      assert.deepEqual(
        seen.map(({ id, length }) => `${id} ${length}`).sort(),
        expected.map(({ id, length }) => `${id} ${length}`).sort(),
      )
      const keys = (
        await tshark('-Y', `kafka.api_key && tcp.dstport == ${port}`, '-T', 'fields', '-e', 'kafka.api_key')
      )
        .trim()
        .split(/[\n,]/)
      const asked = expected.filter(({ request }) => request).map(({ key }) => String(key))
      assert.deepEqual(keys.sort(), asked.sort())
      const bad = 'tcp.checksum.status == "Bad" || ip.checksum.status == "Bad" || tcp.analysis.flags'
      assert.equal(await tshark('-Y', bad), '')
      // The dissector of tshark 4.0 knows the versions of that time; but not that an older broker answers ApiVersions in version 0
      // (KIP-511), nor what consumers have within JoinGroup and SyncGroup since then.
      const malformed = (await tshark('-Y', '_ws.malformed')).split('\n').filter(Boolean)
      const known = /Kafka (ApiVersions v4 Response|JoinGroup|SyncGroup) /
      if (asVersion === '2.1')
        assert.deepEqual(
          malformed.filter(line => !known.test(line)),
          [],
        )
    })
  }
})

/** The frames of a recording, by what docs/recording.md says of its bytes. */
function frames(file: string) {
  const bytes = readFileSync(file)
  assert.equal(bytes.toString('latin1', 0, 8), 'DOHLEREC')
  const all: { request: boolean; id: number; key: number; length: number }[] = []
  for (let at = 24; at < bytes.length; ) {
    const [length, kind] = [bytes.readUInt32BE(at), bytes.readUInt8(at + 8)]
    const frame = at + 8 + 14 + 4
    const announced = kind === 1 || kind === 2 ? bytes.readUInt32BE(frame - 4) : 0
    if (kind === 1)
      all.push({ request: true, key: bytes.readInt16BE(frame), id: bytes.readInt32BE(frame + 4), length: announced })
    if (kind === 2) all.push({ request: false, key: -1, id: bytes.readInt32BE(frame), length: announced })
    at += 8 + length
  }
  return all
}
