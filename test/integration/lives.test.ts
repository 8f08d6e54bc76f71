import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { jars, javaArgs, javaCommand } from '../../scripts/kafka.mjs'
import { interpreter } from './peers/confluent.ts'
import { kafkajsLife } from './peers/life-kafkajs.ts'
import { command } from './peers/peer.ts'
import { type Server, servers, unique } from './servers.ts'

// What the embedded broker must give to other clients beside records: topics made by them, offsets, and groups. The same
// against a real Kafka, which shows that it is the broker that is tested here, and not the program.

/** What a client found when it had made a topic with 4 partitions and written 10 records to each. */
export interface Life {
  /** Earliest, latest, and those at the time of the sixth record, of each partition. */
  readonly listed: number[][]
  /** How many different records two members have read, each with two partitions. They have committed. */
  readonly read: number
  /** One was alone for a while, then nobody; 4 records later a third member has read these (partition and offset). */
  readonly resumed: number[][]
}

const expected: Life = {
  listed: [0, 10, 5].map(offset => [offset, offset, offset, offset]),
  read: 40,
  resumed: [0, 1, 2, 3].map(partition => [partition, 10]),
}

const path = (name: string): string => fileURLToPath(new URL(`./peers/${name}`, import.meta.url))
const printed = (out: Buffer): Life => JSON.parse(out.toString().trim().split('\n').at(-1) as string)

const python = (strategy: string) => async (bootstrap: string, topic: string) =>
  printed(await command(await interpreter(), [path('life.py'), bootstrap, topic, strategy]))
const java = (assignor: string) => async (bootstrap: string, topic: string) =>
  printed(await command(javaCommand, javaArgs(await jars(), path('Life.java'), [bootstrap, topic, assignor])))

const clients: readonly (readonly [string, (bootstrap: string, topic: string) => Promise<Life>])[] = [
  ['confluent-kafka (range)', python('range')],
  ['confluent-kafka (cooperative-sticky)', python('cooperative-sticky')],
  ['kafka-clients (range)', java('RangeAssignor')],
  ['kafka-clients (cooperative-sticky)', java('CooperativeStickyAssignor')],
  ['kafkajs', kafkajsLife],
]

for (const [name, start] of servers) {
  describe(`with ${name}`, () => {
    let server: Server
    before(async () => {
      server = await start()
    })
    after(() => server?.stop())

    for (const [client, life] of clients) {
      test(`${client} makes a topic, looks offsets up, shares a group, and goes on where it had committed`, async () => {
        assert.deepEqual(await life(server.bootstrap, unique('life')), expected)
      })
    }

    test('kcat writes to a topic that is not there, and its group goes on where it had committed', async () => {
      const topic = unique('life')
      const at = ['-b', server.bootstrap, '-q']
      const write = (lines: string) => command('kcat', [...at, '-P', '-t', topic, '-p', '0'], lines)
      const read = async (count: number) => {
        const group = ['-G', topic, '-X', 'auto.offset.reset=earliest', '-X', 'heartbeat.interval.ms=500']
        return (await command('kcat', [...at, ...group, '-c', String(count), '-f', '%o=%s ', topic])).toString()
      }
      await write('a\nb\nc\n')
      assert.equal(await read(3), '0=a 1=b 2=c ')
      await write('d\n')
      assert.equal(await read(1), '3=d ')
    })
  })
}
