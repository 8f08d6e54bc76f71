import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { KafkaServer } from '../../scripts/kafka.mjs'
import { UnderLoad } from './under-load.ts'

const partitions = 3
const kills = Number(process.env.DOHLE_KILLS ?? 2)
const perRound = Number(process.env.DOHLE_RECORDS_PER_ROUND ?? 2_000)

let server: KafkaServer
before(async () => {
  server = await KafkaServer.start({ properties: { 'num.partitions': partitions } })
})
let passed = false
after(async () => {
  await server?.stop({ keep: !passed })
  if (server && !passed) console.error(`Kafka's log is kept: ${server.log}`)
})

test('a broker killed under load: nothing acknowledged is lost, nothing is twice, order holds, the consumer goes on', async () => {
  const load = new UnderLoad(server, 'under-load', partitions)
  await load.begin()
  for (let round = 1; round <= kills; round++) {
    await load.advance(perRound, `before kill ${round}`)
    await server.kill()
    await sleep(500)
    await server.restart()
  }
  await load.advance(perRound, 'after the last restart')
  await load.endAndCheck()
  passed = true
})
