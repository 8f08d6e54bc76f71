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
      await assert.rejects(
        consumer.forEach(() => {}, { max: 3 }),
        code('INVALID_ARGUMENT', /^max: goes with/),
      )
      await assert.rejects(
        consumer.forEach(() => {}, { concurrency: 'key', max: 0.5 }),
        code('INVALID_ARGUMENT', /^max: 0.5/),
      )
      await consumer.close()
    })
  })

  describe('forEach by key', () => {
    /** A topic whose records have `keys` keys in turn; values count up from 0 in each partition. */
    async function keyed(records: number, keys: number, partitions = 1): Promise<string> {
      const topic = unique('keyed')
      await context.kafka.admin().createTopics([{ topic, partitions }])
      await using producer = context.kafka.producer()
      const messages = Array.from({ length: records * partitions }, (_, i) => {
        const n = Math.floor(i / partitions)
        return { partition: i % partitions, key: n % keys === 0 ? null : `k${n % keys}`, value: String(n) }
      })
      await producer.sendBatch({ topic, messages })
      return topic
    }

    const id = ({ partition, key }: Message) => `${partition}/${key === null ? null : key.toString()}`

    test('each key of a partition keeps its order while others go on, within the limit', async () => {
      const topic = await keyed(300, 5, 2)
      const consumer = await assigned(context.kafka, topic, 2)
      const seen = new Map<string, number[]>()
      const running = new Set<string>()
      let [most, count] = [0, 0]
      await consumer.forEach(
        async message => {
          assert.ok(!running.has(id(message)), 'two of one key at a time')
          running.add(id(message))
          most = Math.max(most, running.size)
          seen.set(id(message), [...(seen.get(id(message)) ?? []), Number(message.text())])
          // One key is slow: the others do not wait for it.
          await sleep(id(message) === '0/k1' ? 3 : 0)
          running.delete(id(message))
          if (++count === 600) void consumer.close()
        },
        { concurrency: 'key', max: 4 },
      )
      assert.equal(most, 4)
      assert.equal(seen.size, 10)
      for (const [key, values] of seen) {
        assert.equal(values.length, 60)
        assert.deepEqual(
          values,
          [...values].sort((a, b) => a - b),
          key,
        )
      }
    })

    test('a slow key holds up the commit of its partition, not the other keys', async () => {
      const topic = await keyed(40, 4)
      const { consumer, committed } = await member(context.kafka, topic)
      let release = () => {}
      const held = new Promise<void>(resolve => {
        release = resolve
      })
      const done: number[] = []
      const loop = consumer.forEach(
        async message => {
          if (message.keyText() === 'k2') await held
          done.push(Number(message.text()))
        },
        { concurrency: 'key' },
      )
      while (done.length < 30) await sleep(5)
      await sleep(20)
      assert.equal(done.length, 30)
      await consumer.commit()
      assert.equal(await committed(), 2)
      release()
      while (done.length < 40) await sleep(5)
      await sleep(5)
      await consumer.commit()
      assert.equal(await committed(), 40)
      await consumer.close()
      await loop
    })

    test('when it is stopped nothing more begins, what runs ends and is committed, and a later loop leaves nothing out', async () => {
      const topic = await keyed(60, 3)
      for (const how of ['signal', 'failure'] as const) {
        const { consumer, groupId } = await member(context.kafka, topic, { enableAutoCommit: true })
        const controller = new AbortController()
        const done = new Set<string>()
        let after = 0
        let stopped = false
        const handler = async (message: Message) => {
          if (stopped) after++
          await sleep(2)
          if (message.text() === '20') {
            stopped = true
            if (how === 'failure') throw new Error('handler')
            controller.abort()
          }
          done.add(message.text()!)
        }
        const options = { concurrency: 'key', max: 2, signal: controller.signal } as const
        await assert.rejects(consumer.forEach(handler, options), how === 'signal' ? code('ABORTED') : /handler/)
        assert.equal(after, 0)
        const before = done.size
        assert.ok(before >= 15 && before < 30, `${before} were handled`)
        if (how === 'failure') {
          // The one that failed had begun: it is not given out again.
          const rest = new Set(Array.from({ length: 60 }, (_, i) => String(i)).filter(n => !done.has(n) && n !== '20'))
          for await (const message of consumer) {
            rest.delete(message.text()!)
            if (rest.size === 0) break
          }
        }
        await consumer.close()
        const { consumer: next } = await member(context.kafka, topic, { groupId })
        const [first] = await take(next, 1)
        const unhandled = Array.from({ length: 60 }, (_, i) => i).find(n => !done.has(String(n)))
        // The later loop went on behind the failure, which finishes it, and broke off with the last record in hand.
        assert.equal(first, how === 'signal' ? `0:${unhandled}` : '0:59')
        await next.close()
      }
    })

    test('after a seek nothing that waited for its turn begins; after a pause what was given out ends', async () => {
      const topic = await keyed(60, 2)
      for (const how of ['seek', 'pause'] as const) {
        const consumer = await assigned(context.kafka, topic)
        const handled: number[] = []
        let acted = false
        const loop = consumer.forEach(
          async message => {
            handled.push(Number(message.text()))
            await sleep(1)
            if (!acted && message.text() === '9') {
              acted = true
              if (how === 'seek') consumer.seek({ topic, partition: 0, offset: 50 })
              else {
                consumer.pause([{ topic, partition: 0 }])
                setTimeout(() => consumer.resume([{ topic, partition: 0 }]), 100)
              }
            }
          },
          { concurrency: 'key', max: 2 },
        )
        while (!handled.includes(58) || !handled.includes(59)) await sleep(5)
        await consumer.close()
        await loop
        const times = new Map<number, number>()
        for (const n of handled) times.set(n, (times.get(n) ?? 0) + 1)
        assert.deepEqual(
          [...times.values()].filter(count => count > 1),
          [],
          'twice',
        )
        const skipped = Array.from({ length: 60 }, (_, i) => i).filter(n => !times.has(n))
        if (how === 'pause') assert.deepEqual(skipped, [])
        else assert.ok(skipped.length >= 35 && skipped.every(n => n < 50), `${skipped}`)
      }
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
