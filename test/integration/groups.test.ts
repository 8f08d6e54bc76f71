import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Consumer, type ConsumerOptions, Kafka, type Message } from 'dohle'
import { interpreter } from './peers/confluent.ts'
import { created, type Server, servers, unique } from './servers.ts'

const PATIENCE = 120_000

async function until(what: string, done: () => boolean): Promise<void> {
  for (let waited = 0; !done(); waited += 20) {
    assert.ok(waited < PATIENCE, `never: ${what}`)
    await sleep(20)
  }
}

type Protocol = Pick<
  ConsumerOptions,
  'partitionAssignmentStrategy' | 'groupProtocol' | 'groupInstanceId' | 'heartbeatIntervalMs'
>

const classic = (strategy: 'range' | 'roundrobin' | 'cooperative-sticky'): Protocol => ({
  partitionAssignmentStrategy: [strategy],
  heartbeatIntervalMs: 200,
})

const protocols: Record<string, Protocol> = {
  range: classic('range'),
  'cooperative-sticky': classic('cooperative-sticky'),
  'KIP-848': { groupProtocol: 'consumer' },
}

for (const [serverName, startServer] of servers)
  describe(`groups of ${serverName}`, () => {
    let server: Server
    let kafka: Kafka
    before(async () => {
      server = await startServer()
      kafka = new Kafka({ brokers: server.bootstrap, metadataMaxAgeMs: 500 })
    })
    after(async () => {
      await kafka?.close()
      await server?.stop()
    })

    const member = async (topic: string | RegExp, groupId: string, protocol: Protocol): Promise<Consumer> => {
      const consumer = kafka.consumer({ groupId, autoOffsetReset: 'earliest', ...protocol })
      await consumer.subscribe(topic)
      return consumer
    }

    for (const [name, protocol] of Object.entries(protocols)) {
      test(`a record that is 2 s in hand is finished and committed before its partition moves (${name})`, async () => {
        const topic = unique('slow')
        const groupId = unique('group')
        await created(kafka.admin(), [{ topic, partitions: 2 }])
        await using producer = kafka.producer()
        for (const partition of [0, 1])
          for (let n = 0; n < 5; n++) await producer.send({ topic, partition, value: String(n) })

        const began = new Map<string, number>()
        const ended = new Map<string, number>()
        const twice: string[] = []
        const slow = (delay: number) => async (message: Message) => {
          const id = `${message.partition}:${message.offset}`
          if (began.has(id)) twice.push(id)
          began.set(id, performance.now())
          await sleep(delay)
          ended.set(id, performance.now())
        }
        const one = await member(topic, groupId, protocol)
        const loops = [one.forEach(slow(2_000), { concurrency: 'partition' })]
        await until('both partitions are in hand', () => began.size === 2)
        const two = await member(topic, groupId, protocol)
        loops.push(two.forEach(slow(0), { concurrency: 'partition' }))
        await until('all records are handled', () => ended.size === 10)
        assert.deepEqual(twice, [])
        await until('each has one', () => one.assignment().length === 1 && two.assignment().length === 1)
        // In order, whoever had them: none began before the one before it had ended.
        for (const partition of [0, 1])
          for (let n = 1; n < 5; n++) assert.ok(began.get(`${partition}:${n}`)! >= ended.get(`${partition}:${n - 1}`)!)
        await Promise.all([one.close(), two.close(), ...loops])
      })
    }

    for (const [name, protocol] of Object.entries(protocols)) {
      test(`close waits for the handler that runs: its record is not for the successor (${name})`, async () => {
        const topic = unique('stop')
        const groupId = unique('group')
        await created(kafka.admin(), [{ topic, partitions: 1 }])
        await using producer = kafka.producer()
        for (let n = 0; n < 4; n++) await producer.send({ topic, partition: 0, value: String(n) })
        const began: number[] = []
        const ended: number[] = []
        const one = await member(topic, groupId, protocol)
        const loop = one.forEach(async ({ offset }) => {
          began.push(offset)
          await sleep(1_500)
          ended.push(offset)
        })
        await until('the first is in hand', () => began.length === 1)
        const closed = one.close()
        const two = await member(topic, groupId, protocol)
        const second = two.forEach(({ offset }) => {
          assert.deepEqual(ended, [0], `${offset} came before the one in hand was finished`)
          began.push(offset)
        })
        await Promise.all([closed, loop])
        await until('the successor has the rest', () => began.length === 4)
        assert.deepEqual(began, [0, 1, 2, 3])
        await Promise.all([two.close(), second])
      })
    }

    test('a RegExp selects the same topics by both protocols, whether RE2 has it or not', async () => {
      const prefix = unique('orders')
      const topics = ['eu', 'US', 'test'].map(suffix => `${prefix}-${suffix}`)
      await created(
        kafka.admin(),
        [...topics, `x-${prefix}-eu`].map(topic => ({ topic, partitions: 1 })),
      )
      const patterns: [RegExp, string[]][] = [
        [new RegExp(`^${prefix}-[a-z]+$`), ['eu', 'test']],
        [new RegExp(`^${prefix}-us`, 'i'), ['US']],
        [new RegExp(`^${prefix}-(?!test)`), ['US', 'eu']],
      ]
      for (const [pattern, expected] of patterns) {
        for (const protocol of [protocols.range!, protocols['KIP-848']!]) {
          const consumer = await member(pattern, unique('group'), protocol)
          const names = () => consumer.assignment().map(({ topic }) => topic)
          const wanted = expected.map(suffix => `${prefix}-${suffix}`).sort()
          await until(`${pattern}: ${wanted}`, () => `${names().sort()}` === `${wanted}`)
          assert.deepEqual(consumer.subscription(), wanted)
          await consumer.close()
        }
      }
    })

    test('a consumer that is told to leave as a static member is out of its group at once', async () => {
      const topic = unique('topic')
      const groupId = unique('group')
      await created(kafka.admin(), [{ topic, partitions: 2 }])
      for (const protocol of [protocols.range!, protocols['KIP-848']!]) {
        const fixed = (groupInstanceId: string) => member(topic, groupId, { ...protocol, groupInstanceId })
        const [one, two] = [await fixed('one'), await fixed('two')]
        await until('each has one', () => one.assignment().length === 1 && two.assignment().length === 1)
        await two.close({ leaveGroup: true })
        await until('one has both', () => one.assignment().length === 2)
        await one.close({ leaveGroup: true })
      }
    })

    const mixed: Record<string, [Protocol, string[]]> = {
      range: [classic('range'), ['partition.assignment.strategy=range']],
      roundrobin: [classic('roundrobin'), ['partition.assignment.strategy=roundrobin']],
      'cooperative-sticky': [classic('cooperative-sticky'), ['partition.assignment.strategy=cooperative-sticky']],
      'KIP-848': [{ groupProtocol: 'consumer' }, ['group.protocol=consumer']],
    }
    const program = fileURLToPath(new URL('./peers/member.py', import.meta.url))
    for (const [name, [protocol, settings]] of Object.entries(mixed)) {
      test(`members of ours and of librdkafka share a group, whoever came first (${name})`, async () => {
        for (const first of ['ours', 'theirs']) {
          const topic = unique('mixed')
          const groupId = unique('group')
          await created(kafka.admin(), [{ topic, partitions: 6 }])
          const python = await interpreter()
          let theirs = -1
          let said = ''
          let child: ChildProcessWithoutNullStreams | undefined
          const start = () => {
            child = spawn(python, [program, server.bootstrap, topic, groupId, 'debug=cgrp', ...settings])
            // By lines: Python may write one in pieces.
            createInterface({ input: child.stdout }).on('line', line => {
              theirs = Number(line.split(' ').at(-1))
            })
            child.stderr.on('data', text => {
              said = `${said}${text}`.slice(-8_000)
            })
            return child
          }
          try {
            if (first === 'theirs') {
              start()
              await until('theirs has all', () => theirs === 6)
            }
            const ours = await member(topic, groupId, protocol)
            if (first === 'ours') {
              await until('ours has all', () => ours.assignment().length === 6)
              start()
            }
            await until('both have three', () => ours.assignment().length === 3 && theirs === 3)
            const second = await member(topic, groupId, protocol)
            const sizes = () => [ours.assignment().length, second.assignment().length, theirs]
            await until('each has two', () => `${sizes()}` === '2,2,2')
            child!.stdin.end()
            await once(child!, 'close')
            await until('ours have three each', () => `${sizes().slice(0, 2)}` === '3,3')
            await Promise.all([ours.close(), second.close()])
          } catch (error) {
            throw new Error(`librdkafka said:\n${said}`, { cause: error })
          } finally {
            child?.kill('SIGKILL')
          }
        }
      })
    }
  })
