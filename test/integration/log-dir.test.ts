/** A broker with a log folder that is killed under load: what it has acknowledged with every batch synced is there. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { freeRow, jars, KafkaServer } from '../../scripts/kafka.mjs'
import { FolderBroker } from '../folder-broker.ts'
import { UnderLoad } from './under-load.ts'

const partitions = 3
const kills = Number(process.env.DOHLE_KILLS ?? 3)
const perRound = Number(process.env.DOHLE_RECORDS_PER_ROUND ?? 2_000)
const settings = {
  'log.flush.interval.messages': '1',
  'log.segment.bytes': '200000',
  'num.partitions': `${partitions}`,
}

let folder: string
let broker: FolderBroker | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dohle-log-dir-'))
})
afterEach(async () => {
  await broker?.end('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** Kafka's tools, for the broker. */
async function kafka(port: number): Promise<KafkaServer> {
  return new KafkaServer({
    dir: folder,
    port,
    lib: await jars(),
    detached: false,
    temporary: false,
    classes: '',
    env: {},
  })
}

/** Kills it, and starts it again, while records are sent and read. */
async function killed(broker: FolderBroker): Promise<void> {
  const load = new UnderLoad(await kafka(broker.port), 'under-load', partitions)
  await load.begin()
  for (let round = 1; round <= kills; round++) {
    await load.advance(perRound, `before kill ${round}`)
    await broker.end('SIGKILL')
    await broker.start()
  }
  await load.advance(perRound, 'after the last restart')
  await load.endAndCheck()
}

test('killed under load, a broker that syncs each batch loses nothing that it has acknowledged', async () => {
  broker = await FolderBroker.start({ folder, settings })
  await killed(broker)
})

test('nor do three nodes that are killed together, and Kafka reads the files of each', async () => {
  const copies = { 'min.insync.replicas': '2', 'broker.session.timeout.ms': '1000' }
  broker = await FolderBroker.start({
    folder,
    nodes: 3,
    port: await freeRow(3),
    settings: { ...settings, ...copies },
  })
  await killed(broker)
  await broker.end('SIGTERM')
  const tools = await kafka(0)
  for (const node of [1, 2, 3]) {
    for (const topic of ['under-load', '__consumer_offsets']) {
      const own = join(folder, `node-${node}`)
      const partitions = readdirSync(own).filter(name => name.startsWith(`${topic}-`))
      const files = partitions.flatMap(name => readdirSync(join(own, name)).map(file => join(own, name, file)))
      const logs = files.filter(file => file.endsWith('.log'))
      assert.ok(
        logs.length >= partitions.length && partitions.length > 0,
        `node ${node} has ${logs.length} files of ${topic}`,
      )
      const dumped = await tools.tool('DumpLogSegments', ['--deep-iteration', '--files', logs.join()])
      assert.equal([...dumped.matchAll(/^Log starting offset/gm)].length, logs.length)
      assert.match(dumped, /^baseOffset: /m)
      assert.doesNotMatch(dumped, /isvalid: false|invalid bytes|Exception/)
    }
  }
  const metadata = join(folder, '__cluster_metadata-0', '00000000000000000000.log')
  const said = await tools.tool('DumpLogSegments', ['--cluster-metadata-decoder', '--files', metadata])
  assert.match(said, /"type":"PARTITION_RECORD".*"isr":\[[123],[123],[123]\]/)
})
