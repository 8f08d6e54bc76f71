import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { KafkaCluster } from '../../scripts/kafka-cluster.mjs'
import { UnderLoad } from './under-load.ts'

const partitions = 6
const rounds = Number(process.env.DOHLE_CLUSTER_ROUNDS ?? 1)
const perKill = Number(process.env.DOHLE_RECORDS_PER_ROUND ?? 2_000)

let cluster: KafkaCluster
before(async () => {
  cluster = await KafkaCluster.start()
})
let passed = false
after(async () => {
  await cluster?.stop({ keep: !passed })
  if (cluster && !passed) console.error(`Kafka's logs are kept: ${cluster.dir}`)
})

test('each of three brokers killed in turn under load: leaders and coordinators move, nothing acknowledged is lost or twice, order holds, every send settles, lag returns to 0', async t => {
  const load = new UnderLoad(cluster, 'three-brokers', partitions)
  await load.begin()
  for (let round = 1; round <= rounds; round++) {
    for (const server of cluster.servers) {
      await load.advance(perKill, `before the broker at ${server.bootstrap} is killed in round ${round}`)
      await server.kill()
      // Others lead and coordinate now: sending goes on without it.
      await load.advance(perKill, `without the broker at ${server.bootstrap}`)
      await sleep(500)
      await cluster.restart(server)
    }
  }
  await load.advance(perKill, 'after the last restart')
  await load.endAndCheck()
  if (process.env.DOHLE_TEST_VERBOSE) t.diagnostic(`${load.acknowledged.size} records, slowest ${load.slowestMs} ms`)
  passed = true
})
