/** A broker with a log folder that is killed under load: what it has acknowledged with every batch synced is there. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { freePorts, jars, KafkaServer } from '../../scripts/kafka.mjs'
import { endsWithUs } from '../../scripts/lib/children.mjs'
import { root } from '../../scripts/lib/paths.mjs'
import { UnderLoad } from './under-load.ts'

const partitions = 3
const kills = Number(process.env.DOHLE_KILLS ?? 3)
const perRound = Number(process.env.DOHLE_RECORDS_PER_ROUND ?? 2_000)

let folder: string
let child: ChildProcess | undefined
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'dohle-log-dir-'))
})
after(() => {
  child?.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** The command, until it answers. */
async function start(port: number): Promise<void> {
  const settings = {
    'log.flush.interval.messages': '1',
    'log.segment.bytes': '200000',
    'num.partitions': `${partitions}`,
  }
  const overrides = Object.entries(settings).flatMap(([name, value]) => ['--override', `${name}=${value}`])
  const cli = ['--import', 'tsx', join(root, 'ts', 'cli.ts'), 'broker', '--port', `${port}`, '--log-dir', folder]
  const started = endsWithUs(spawn(process.execPath, [...cli, ...overrides], { stdio: ['ignore', 'pipe', 'inherit'] }))
  child = started
  const lines = createInterface({ input: started.stdout })
  await Promise.race([
    once(lines, 'line'),
    once(started, 'exit').then(([code]) => {
      throw new Error(`the broker ended with ${code}`)
    }),
  ])
}

test('killed under load, a broker that syncs each batch loses nothing that it has acknowledged', async () => {
  const [port] = (await freePorts()) as [number]
  await start(port)
  // Kafka's tools count what is there.
  const own = { dir: folder, port, lib: await jars(), detached: false, temporary: false, classes: '', env: {} }
  const servers = new KafkaServer(own)
  const load = new UnderLoad(servers, 'under-load', partitions)
  await load.begin()
  for (let round = 1; round <= kills; round++) {
    await load.advance(perRound, `before kill ${round}`)
    const gone = once(child!, 'exit')
    child!.kill('SIGKILL')
    await gone
    await start(port)
  }
  await load.advance(perRound, 'after the last restart')
  await load.endAndCheck()
})
