import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Consumer, Message, TopicPartition } from '../ts/index.ts'
import { assigned, code, member, numbers, range, setUp, take, unique } from './support.ts'

describe('consumer', () => {
  const context = setUp()

  describe('forEach', () => {
    test('one at a time keeps the order and ends with close', async () => {
      const topic = await numbers(context.kafka, 50)
      const consumer = await assigned(context.kafka, topic)
      const read: string[] = []
      let running = 0
      await consumer.forEach(async message => {
        assert.equal(++running, 1)
        read.push(`0:${message.text()}`)
        if (read.length % 10 === 0) await sleep(1)
        running--
        if (read.length === 50) void consumer.close()
      })
      assert.deepEqual(read, range(0, 50))
    })

    test('several at a time stay within their limit, and what is committed never passes an unfinished one', async () => {
      const topic = await numbers(context.kafka, 200)
      const { consumer, committed } = await member(context.kafka, topic)
      let running = 0
      let most = 0
      let release = () => {}
      const stuck = new Promise<void>(resolve => {
        release = resolve
      })
      let seen = 0
      const loop = consumer.forEach(
        async message => {
          most = Math.max(most, ++running)
          seen++
          if (message.text() === '20') await stuck
          else await sleep(1)
          running--
        },
        { concurrency: 8 },
      )
      while (seen < 200) await sleep(5)
      await consumer.commit()
      assert.equal(await committed(), 20)
      release()
      await sleep(10)
      await consumer.commit()
      assert.equal(await committed(), 200)
      assert.equal(most, 8)
      await consumer.close()
      await loop
    })

    test('by partition each partition keeps its order while others go on', async () => {
      const topic = await numbers(context.kafka, 100, 4)
      const consumer = await assigned(context.kafka, topic, 4)
      const read: string[][] = [[], [], [], []]
      const running = new Set<number>()
      let together = 0
      await consumer
        .forEach(
          async ({ partition, ...rest }: Message, message?: never) => {
            void rest
            void message
            void partition
          },
          { concurrency: 'partition', signal: AbortSignal.timeout(1) },
        )
        .catch(code('ABORTED'))
      for (let partition = 0; partition < 4; partition++) consumer.seek({ topic, partition, offset: 0 })
      await consumer.forEach(
        async message => {
          const { partition } = message
          assert.ok(!running.has(partition))
          running.add(partition)
          together = Math.max(together, running.size)
          read[partition]!.push(message.text()!)
          await sleep(partition === 0 ? 2 : 0)
          running.delete(partition)
          if (read.every(values => values.length === 100)) void consumer.close()
        },
        { concurrency: 'partition' },
      )
      assert.ok(together > 1)
      for (const values of read)
        assert.deepEqual(
          values,
          Array.from({ length: 100 }, (_, i) => String(i)),
        )
    })

    test('a handler that fails ends it, unfinished; a later loop goes on behind what had begun', async () => {
      const topic = await numbers(context.kafka, 100)
      for (const concurrency of [1, 'partition'] as const) {
        const { consumer, groupId } = await member(context.kafka, topic, { enableAutoCommit: true })
        const fail = (message: Message) => {
          if (message.text() === '5') throw new Error('handler')
        }
        await assert.rejects(consumer.forEach(fail, { concurrency }), /handler/)
        assert.deepEqual(await take(consumer, 2), ['0:6', '0:7'])
        await consumer.close()
        const { consumer: next } = await member(context.kafka, topic, { groupId })
        assert.deepEqual(await take(next, 1), ['0:7'])
        await next.close()
      }
    })

    test('what cannot work is refused', async () => {
      const consumer = context.kafka.consumer()
      await assert.rejects(consumer.forEach(5 as never), code('INVALID_ARGUMENT', /^handler: is a number/))
      await assert.rejects(
        consumer.forEach(() => {}, { concurrency: 0 }),
        code('INVALID_ARGUMENT', /^concurrency: 0/),
      )
      await consumer.close()
    })
  })

  describe('streams', () => {
    test('a Web stream yields everything and can be cancelled', async () => {
      const topic = await numbers(context.kafka, 3_000)
      const consumer = await assigned(context.kafka, topic)
      const reader = consumer.stream().getReader()
      for (let i = 0; i < 2_000; i++) assert.equal((await reader.read()).value?.text(), String(i))
      await reader.cancel()
      assert.deepEqual(await take(consumer, 1_000), range(2_000, 3_000))
      await consumer.close()
    })

    test('a Node stream yields everything, is destroyed by a signal, and ends with the consumer', async () => {
      const topic = await numbers(context.kafka, 3_000)
      const consumer = await assigned(context.kafka, topic)
      const read: string[] = []
      const abort = new AbortController()
      const stream = consumer.readable({ signal: abort.signal })
      stream.on('data', (message: Message) => {
        read.push(`0:${message.text()}`)
        if (read.length === 3_000) abort.abort()
      })
      const [error] = await once(stream, 'error')
      assert.ok(code('ABORTED')(error))
      assert.deepEqual(read, range(0, 3_000))
      const second = consumer.readable()
      const ended = once(second.resume(), 'end')
      await consumer.close()
      await ended
    })
  })

  describe('groups', () => {
    test('listeners run before partitions come and go, and the record in hand is finished first', async () => {
      const topic = await numbers(context.kafka, 500, 2)
      const { consumer: first, groupId } = await member(context.kafka, topic, {
        enableAutoCommit: true,
        heartbeatIntervalMs: 50,
      })
      const log: string[] = []
      const names = (partitions: TopicPartition[]) => partitions.map(({ partition }) => partition).join(',')
      let inHand = false
      await first.subscribe(topic, {
        onAssigned: partitions => log.push(`assigned ${names(partitions)}`),
        onRevoked: partitions => {
          assert.equal(inHand, false)
          log.push(`revoked ${names(partitions)}`)
        },
      })
      const seen = new Map<string, number>()
      const note = (message: Message) => {
        const key = `${message.partition}:${message.offset}`
        seen.set(key, (seen.get(key) ?? 0) + 1)
      }
      const slow = (async () => {
        for await (const message of first) {
          inHand = true
          note(message)
          await sleep(1)
          inHand = false
        }
      })()
      while (seen.size < 20) await sleep(5)
      assert.deepEqual(log, ['assigned 0,1'])
      const second: Consumer = context.kafka.consumer({ groupId, autoOffsetReset: 'earliest' })
      await second.subscribe(topic)
      const other = (async () => {
        for await (const message of second) note(message)
      })()
      while (seen.size < 1_000) await sleep(10)
      assert.ok(log.some(line => line.startsWith('revoked')))
      assert.deepEqual(
        [...seen].filter(([, times]) => times > 1),
        [],
      )
      await Promise.all([first.close(), second.close()])
      await Promise.all([slow, other])
    })

    test('close in the body of a loop does not wait for that body', async () => {
      const topic = await numbers(context.kafka, 10)
      const { consumer } = await member(context.kafka, topic)
      const begun = performance.now()
      for await (const _ of consumer) await consumer.close()
      assert.ok(performance.now() - begun < 3_000)
    })

    test('unsubscribe ends reading, and subscribe begins anew', async () => {
      const topic = await numbers(context.kafka, 10)
      const { consumer } = await member(context.kafka, topic)
      for await (const _ of consumer) {
        await consumer.unsubscribe()
        break
      }
      assert.deepEqual([consumer.subscription(), consumer.assignment()], [[], []])
      await consumer.subscribe(topic)
      assert.deepEqual(consumer.subscription(), [topic])
      assert.equal((await take(consumer, 1)).length, 1)
      await consumer.close()
    })

    test('what cannot work is refused', async () => {
      const consumer = context.kafka.consumer({ groupId: unique('group') })
      await assert.rejects(consumer.subscribe(5 as never), code('INVALID_ARGUMENT', /^topics: is a number/))
      await assert.rejects(consumer.subscribe(['a', null as never]), code('INVALID_ARGUMENT', /^topics\[1\]: is null/))
      await assert.rejects(consumer.subscribe('a', { signal: AbortSignal.abort() }), code('ABORTED'))
      await assert.rejects(
        consumer.assign([{ topic: 'a', partition: 0, offset: 'soon' as never }]),
        code('INVALID_ARGUMENT', /^partitions\[0\]\.offset/),
      )
      await consumer.close()
      await assert.rejects(consumer.subscribe('a'), code('CLOSED'))
      assert.throws(() => consumer.assignment(), code('CLOSED'))
      await consumer.close()
      assert.throws(
        () => context.kafka.consumer({ sessionTimeoutMs: -1 }),
        code('INVALID_CONFIG', /^session\.timeout\.ms: -1/),
      )
    })
  })
})
