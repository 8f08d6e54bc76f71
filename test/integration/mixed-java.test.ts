import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Consumer, type ConsumerOptions, Kafka, type Message } from 'dohle'
import { jars, javaArgs, javaCommand } from '../../scripts/kafka.mjs'
import { type Server, servers, unique } from './servers.ts'

// Groups with members of ours and of the Java client, under a stream of records: members of both come and go, and every
// record is read once.

const program = fileURLToPath(new URL('./peers/Member.java', import.meta.url))
const PATIENCE = 120_000

async function until(what: () => string, done: () => boolean): Promise<void> {
  for (let waited = 0; !done(); waited += 20) {
    assert.ok(waited < PATIENCE, `never: ${what()}`)
    await sleep(20)
  }
}

for (const [serverName, startServer] of servers)
  describe(`a group of ours and of Java members at ${serverName}`, () => {
    let server: Server
    let kafka: Kafka
    before(async () => {
      server = await startServer()
      kafka = new Kafka({ brokers: server.bootstrap })
    })
    after(async () => {
      await kafka?.close()
      await server?.stop()
    })

    const assignor = (name: string) => `partition.assignment.strategy=org.apache.kafka.clients.consumer.${name}`
    const protocols: Record<string, [ConsumerOptions, string[]]> = {
      range: [
        { partitionAssignmentStrategy: ['range'], heartbeatIntervalMs: 300 },
        [assignor('RangeAssignor'), 'heartbeat.interval.ms=300'],
      ],
      sticky: [
        { partitionAssignmentStrategy: ['sticky'], heartbeatIntervalMs: 300 },
        [assignor('StickyAssignor'), 'heartbeat.interval.ms=300'],
      ],
      'cooperative-sticky': [
        { partitionAssignmentStrategy: ['cooperative-sticky'], heartbeatIntervalMs: 300 },
        [assignor('CooperativeStickyAssignor'), 'heartbeat.interval.ms=300'],
      ],
      'KIP-848': [{ groupProtocol: 'consumer' }, ['group.protocol=consumer']],
    }
    for (const [name, [options, settings]] of Object.entries(protocols)) {
      test(`members of both come and go, and every record is read once (${name})`, async () => {
        const topic = unique('mixed')
        const groupId = unique('group')
        await kafka.admin().createTopics([{ topic, partitions: 6 }])
        const lib = await jars()
        const readers = new Map<string, string[]>()
        const note = (who: string, place: string) => readers.set(place, [...(readers.get(place) ?? []), who])

        const theirs = () => {
          const args = [server.bootstrap, topic, groupId, ...settings]
          const child = spawn(javaCommand, javaArgs(lib, program, args), { stdio: ['pipe', 'pipe', 'ignore'] })
          const ended = once(child, 'close')
          const member = { size: -1, leave: () => child.stdin.end() && ended }
          let rest = ''
          child.stdout.on('data', text => {
            const lines = (rest + text).split('\n')
            rest = lines.pop() as string
            for (const line of lines) {
              const [what, value] = line.split(' ') as [string, string]
              if (what === 'read') note('Java', value)
              else member.size = Number(value)
            }
          })
          return member
        }
        const ours = async () => {
          const consumer: Consumer = kafka.consumer({ groupId, autoOffsetReset: 'earliest', ...options })
          await consumer.subscribe(topic)
          const read = ({ partition, offset }: Message) => note('ours', `${partition}:${offset}`)
          const loop = consumer.forEach(read, { concurrency: 'partition' })
          const leave = () => Promise.all([consumer.close(), loop])
          return {
            leave,
            get size() {
              return consumer.assignment().length
            },
          }
        }

        await using producer = kafka.producer()
        const sent: string[] = []
        let producing = true
        const stream = (async () => {
          while (producing) {
            const { partition, offset } = await producer.send({ topic, partition: sent.length % 6, value: 'v' })
            sent.push(`${partition}:${offset}`)
            await sleep(2)
          }
        })()

        const [first, own] = [theirs(), await ours()]
        const sizes = (...members: { size: number }[]) => members.map(({ size }) => size).join()
        const shared = (expected: string, ...members: { size: number }[]) =>
          until(
            () => `${expected}, but ${sizes(...members)}`,
            () => sizes(...members) === expected,
          )
        await shared('3,3', first, own)
        const second = await ours()
        await shared('2,2,2', first, own, second)
        await first.leave()
        await shared('3,3', own, second)
        const third = theirs()
        await shared('2,2,2', own, second, third)
        await own.leave()
        await shared('3,3', second, third)
        await second.leave()
        await shared('6', third)
        const last = await ours()
        await shared('3,3', third, last)
        await third.leave()
        await shared('6', last)

        producing = false
        await stream
        await until(
          () => `${sent.length} records, ${readers.size} are read`,
          () => readers.size >= sent.length,
        )
        await last.leave()
        const twice = [...readers].filter(([, who]) => who.length > 1)
        assert.deepEqual([twice, sent.filter(place => !readers.has(place))], [[], []])
      })
    }
  })
