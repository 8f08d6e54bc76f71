/** A broker with a log folder that is killed under load: what it has acknowledged with every batch synced is there. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { jars, KafkaServer } from '../../scripts/kafka.mjs'
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
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'dohle-log-dir-'))
})
after(async () => {
  await broker?.end('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

test('killed under load, a broker that syncs each batch loses nothing that it has acknowledged', async () => {
  broker = await FolderBroker.start({ folder, settings })
  const port = Number(broker.address.split(':')[1])
  // Kafka's tools count what is there.
  const own = { dir: folder, port, lib: await jars(), detached: false, temporary: false, classes: '', env: {} }
  const load = new UnderLoad(new KafkaServer(own), 'under-load', partitions)
  await load.begin()
  for (let round = 1; round <= kills; round++) {
    await load.advance(perRound, `before kill ${round}`)
    await broker.end('SIGKILL')
    await broker.start()
  }
  await load.advance(perRound, 'after the last restart')
  await load.endAndCheck()
})
