/** A group with members of ours and of the Java client, under a stream of records, of which each must be read once. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Consumer, ConsumerOptions, Kafka, Message } from 'dohle'
import { jars, javaArgs, javaCommand } from '../../scripts/kafka.mjs'
import { created, unique } from './servers.ts'

const program = fileURLToPath(new URL('./peers/Member.java', import.meta.url))
const PATIENCE = 120_000

async function until(what: () => string, done: () => boolean): Promise<void> {
  for (let waited = 0; !done(); waited += 20) {
    assert.ok(waited < PATIENCE, `never: ${what()}`)
    await sleep(20)
  }
}

/** A member: how many partitions it has, and its leaving. */
export interface GroupMember {
  readonly size: number
  leave(): Promise<unknown>
}

/** A topic of six partitions that is written to all the time, and a group that reads it. */
export async function mixedGroup(bootstrap: string, kafka: Kafka) {
  const topic = unique('mixed')
  const groupId = unique('group')
  await created(kafka.admin(), [{ topic, partitions: 6 }])
  const lib = await jars()
  const readers = new Map<string, string[]>()
  const note = (who: string, place: string) => readers.set(place, [...(readers.get(place) ?? []), who])

  const producer = kafka.producer()
  const sent: string[] = []
  let producing = true
  const stream = (async () => {
    while (producing) {
      const { partition, offset } = await producer.send({ topic, partition: sent.length % 6, value: 'v' })
      sent.push(`${partition}:${offset}`)
      await sleep(2)
    }
  })()

  return {
    groupId,

    /** A member of the Java client's, with these settings. */
    theirs(settings: string[]): GroupMember {
      const args = [bootstrap, topic, groupId, ...settings]
      const child = spawn(javaCommand, javaArgs(lib, program, args), { stdio: ['pipe', 'pipe', 'ignore'] })
      const ended = once(child, 'close')
      const member = {
        size: -1,
        leave: () => {
          child.stdin.end()
          return ended
        },
      }
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
    },

    /** A member of ours. */
    async ours(options: ConsumerOptions): Promise<GroupMember> {
      const consumer: Consumer = kafka.consumer({ groupId, autoOffsetReset: 'earliest', ...options })
      await consumer.subscribe(topic)
      const read = ({ partition, offset }: Message) => note('ours', `${partition}:${offset}`)
      const loop = consumer.forEach(read, { concurrency: 'partition' })
      return {
        leave: () => Promise.all([consumer.close(), loop]),
        get size() {
          return consumer.assignment().length
        },
      }
    },

    /** Waits until the members have so many partitions: `2,2,2`. */
    async shared(expected: string, ...members: GroupMember[]) {
      const sizes = () => members.map(({ size }) => size).join()
      await until(
        () => `${expected}, but ${sizes()}`,
        () => sizes() === expected,
      )
    },

    /** Ends the stream, and sees that all of it was read, and nothing twice. `last` leaves when it has. */
    async finish(last: GroupMember) {
      producing = false
      await stream
      await producer.close()
      await until(
        () => `${sent.length} records, ${readers.size} are read`,
        () => readers.size >= sent.length,
      )
      await last.leave()
      const twice = [...readers].filter(([, who]) => who.length > 1)
      assert.deepEqual([twice, sent.filter(place => !readers.has(place))], [[], []])
    },
  }
}
