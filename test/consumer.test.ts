import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Consumer, Message, TopicPartition } from '../ts/index.ts'
import { assigned, code, numbers, setUp, take, unique, values } from './support.ts'

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `0:${from + i}`)

describe('consumer', () => {
  const context = setUp()

  /** A member of a group of its own, and what that group has committed for partition 0. */
  const member = async (topic: string, options: object = {}) => {
    const groupId = unique('group')
    const consumer = context.kafka.consumer({
      groupId,
      autoOffsetReset: 'earliest',
      enableAutoCommit: false,
      ...options,
    })
    await consumer.subscribe(topic)
    const committed = async () => (await consumer.committed([{ topic, partition: 0 }]))[0]?.offset ?? null
    return { consumer, committed, groupId }
  }

  describe('for await', () => {
    test('yields every record in order, over many chunks', async () => {
      const topic = await numbers(context.kafka, 20_000)
      const consumer = await assigned(context.kafka, topic)
      assert.deepEqual(await take(consumer, 20_000), range(0, 20_000))
      await consumer.close()
    })

    test('goes on where an earlier loop stopped, after break, return and throw', async () => {
      const topic = await numbers(context.kafka, 100)
      const consumer = await assigned(context.kafka, topic)
      assert.deepEqual(await take(consumer, 10), range(0, 10))
      const iterator = consumer.messages()
      assert.equal((await iterator.next()).value?.text(), '10')
      await iterator.return!()
      assert.equal((await iterator.next()).done, true)
      await assert.rejects(async () => {
        for await (const message of consumer) if (message.text() === '20') throw new Error('stop')
      }, /stop/)
      assert.deepEqual(await take(consumer, 79), range(21, 100))
      await consumer.close()
    })

    test('next called many times at once gives every call its own record, in order', async () => {
      const topic = await numbers(context.kafka, 500)
      const consumer = await assigned(context.kafka, topic)
      const iterator = consumer.messages()
      const results = await Promise.all(Array.from({ length: 300 }, () => iterator.next()))
      assert.deepEqual(
        results.map(({ value }) => `0:${value?.text()}`),
        range(0, 300),
      )
      const a = iterator.next()
      const b = iterator.next()
      const c = iterator.next()
      assert.deepEqual(
        [(await c).value?.text(), (await b).value?.text(), (await a).value?.text()],
        ['302', '301', '300'],
      )
      await iterator.return!()
      await consumer.close()
    })

    test('a second reader at the same time is refused', async () => {
      const topic = await numbers(context.kafka, 10)
      const consumer = await assigned(context.kafka, topic)
      const first = consumer.messages()
      await first.next()
      await assert.rejects(consumer.messages().next(), code('INVALID_ARGUMENT', /another loop/))
      await assert.rejects(
        consumer.forEach(() => {}),
        code('INVALID_ARGUMENT', /another loop/),
      )
      assert.throws(() => consumer.stream(), code('INVALID_ARGUMENT', /another loop/))
      assert.equal((await first.next()).value?.text(), '1')
      await first.return!()
      assert.deepEqual(await take(consumer, 1), ['0:2'])
      await consumer.close()
    })

    test('a reader that begins right after a waiting one was ended is woken by the next record', async () => {
      const topic = await numbers(context.kafka, 1)
      const consumer = await assigned(context.kafka, topic)
      await take(consumer, 1)
      const waiting = consumer.messages()
      const pending = waiting.next()
      await sleep(50)
      void waiting.return!()
      const read: string[] = []
      const all = consumer.forEach(message => {
        read.push(message.text()!)
      })
      assert.equal((await pending).done, true)
      const producer = context.kafka.producer()
      await producer.send({ topic, value: 'later' })
      await producer.close()
      for (let i = 0; i < 100 && read.length === 0; i++) await sleep(20)
      assert.deepEqual(read, ['later'])
      await consumer.close()
      await all
    })

    test('a waiting loop ends when the consumer closes, and its process does not wait for more', async () => {
      const topic = await numbers(context.kafka, 1)
      const consumer = await assigned(context.kafka, topic)
      const read: string[] = []
      const loop = (async () => {
        for await (const message of consumer) read.push(message.text()!)
      })()
      while (read.length === 0) await sleep(5)
      await consumer.close()
      await loop
      assert.deepEqual(read, ['0'])
      await assert.rejects(consumer.messages().next(), code('CLOSED'))
    })

    test('a signal ends a loop that waits and one that reads', async () => {
      const topic = await numbers(context.kafka, 100)
      const consumer = await assigned(context.kafka, topic)
      const reading = new AbortController()
      await assert.rejects(async () => {
        for await (const message of consumer.messages({ signal: reading.signal })) {
          if (message.text() === '49') reading.abort(new Error('enough'))
        }
      }, code('ABORTED'))
      const waiting = new AbortController()
      setTimeout(() => waiting.abort(), 50)
      let last = ''
      await assert.rejects(async () => {
        for await (const message of consumer.messages({ signal: waiting.signal })) last = message.text()!
      }, code('ABORTED'))
      assert.equal(last, '99')
      await assert.rejects(consumer.messages({ signal: waiting.signal }).next(), code('ABORTED'))
      await consumer.close()
    })
  })

  describe('commit', () => {
    test('asking for the next record finishes the one before, and commit includes the one in hand', async () => {
      const topic = await numbers(context.kafka, 100)
      const { consumer, committed } = await member(topic)
      assert.equal(await committed(), null)
      for await (const message of consumer) {
        if (message.text() !== '4') continue
        await consumer.commit()
        break
      }
      assert.equal(await committed(), 5)
      await consumer.close()
    })

    test('close commits what is finished: not the record in hand of a break or a throw', async () => {
      const topic = await numbers(context.kafka, 100)
      for (const leave of ['break', 'throw'] as const) {
        const { consumer, groupId } = await member(topic, { enableAutoCommit: true })
        try {
          for await (const message of consumer) {
            if (message.text() !== '7') continue
            if (leave === 'throw') throw new Error('failed')
            break
          }
        } catch {}
        await consumer.close()
        const { consumer: next } = await member(topic, { groupId })
        assert.deepEqual(await take(next, 1), ['0:7'], leave)
        await next.close()
      }
    })

    test('a batch is finished by commit or by asking for the next one', async () => {
      const topic = await numbers(context.kafka, 1_000)
      const { consumer, committed } = await member(topic)
      for await (const batch of consumer.batches()) {
        assert.equal(batch.topic, topic)
        assert.equal(batch.partition, 0)
        assert.equal(batch.lastOffset - batch.firstOffset + 1, batch.length)
        assert.equal(values(batch).length, batch.length)
        await batch.commit()
        if (batch.lastOffset === 999) break
      }
      assert.equal(await committed(), 1_000)
      await consumer.close()
    })

    test('a batch that was left by a throw is not committed by close', async () => {
      const topic = await numbers(context.kafka, 100)
      const { consumer, groupId } = await member(topic, { enableAutoCommit: true })
      await assert.rejects(async () => {
        for await (const batch of consumer.batches())
          for (const message of batch) if (message.text() === '50') throw new Error('no')
      }, /no/)
      await consumer.close()
      const { consumer: next } = await member(topic, { groupId })
      assert.deepEqual(await take(next, 1), ['0:0'])
      await next.close()
    })

    test('what is read ahead is finished by done only, and counts from the first unfinished record', async () => {
      const topic = await numbers(context.kafka, 100)
      const { consumer, committed } = await member(topic)
      const kept: Message[] = []
      for await (const message of consumer.stream()) {
        kept.push(message)
        if (kept.length === 10) break
      }
      await consumer.commit()
      assert.equal((await committed()) ?? 0, 0)
      for (const index of [0, 1, 2, 5, 4]) kept[index]!.done()
      await consumer.commit()
      assert.equal(await committed(), 3)
      kept[3]!.copy().done()
      await consumer.commit()
      assert.equal(await committed(), 6)
      await consumer.close()
    })

    test('explicit offsets are committed as they are', async () => {
      const topic = await numbers(context.kafka, 10)
      const { consumer } = await member(topic)
      await take(consumer, 1)
      await consumer.commit([{ topic, partition: 0, offset: 5, metadata: 'mine' }])
      const [found] = await consumer.committed([{ topic, partition: 0 }])
      assert.deepEqual([found?.offset, found?.metadata], [5, 'mine'])
      await assert.rejects(
        consumer.commit([{ topic, partition: 0, offset: 0.5 }]),
        code('INVALID_ARGUMENT', /offsets\[0\]\.offset/),
      )
      await consumer.close()
    })
  })

  describe('seek and pause', () => {
    test('after seek the next record is the target, in a loop, in a batch and in a stream', async () => {
      const topic = await numbers(context.kafka, 1_000)
      const consumer = await assigned(context.kafka, topic)
      let to: number | undefined = 900
      const read: string[] = []
      for await (const message of consumer) {
        read.push(message.text()!)
        if (read.length === 10 && to !== undefined) {
          consumer.seek({ topic, partition: 0, offset: to })
          assert.equal(consumer.position({ topic, partition: 0 }), 900)
          to = undefined
        }
        if (read.length === 12) break
      }
      assert.deepEqual(read.slice(9), ['9', '900', '901'])
      consumer.seek({ topic, partition: 0, offset: 'earliest' })
      for await (const batch of consumer.batches()) {
        const inBatch: (string | null)[] = []
        for (const message of batch) {
          inBatch.push(message.text())
          if (inBatch.length === 3) consumer.seek({ topic, partition: 0, offset: 500 })
        }
        assert.deepEqual(inBatch, ['0', '1', '2'])
        break
      }
      for (const make of [() => consumer.stream(), () => consumer.readable()]) {
        const streamed: string[] = []
        for await (const message of make() as AsyncIterable<Message>) {
          streamed.push(message.text()!)
          if (streamed.length === 2) consumer.seek({ topic, partition: 0, offset: 100 })
          if (streamed.length === 3) break
        }
        assert.equal(streamed[2], '100')
      }
      await consumer.close()
    })

    test('after pause nothing of the partition comes until resume, then all that had not come', async () => {
      const topic = await numbers(context.kafka, 200, 2)
      const consumer = await assigned(context.kafka, topic, 2)
      const read: string[][] = [[], []]
      let paused = false
      for await (const message of consumer) {
        const { partition } = message
        if (paused) assert.equal(partition, 1)
        read[partition]!.push(message.text()!)
        if (partition === 0 && read[0]!.length === 5) {
          consumer.pause([{ topic, partition: 0 }])
          paused = true
          assert.deepEqual(consumer.paused(), [{ topic, partition: 0 }])
        }
        if (paused && read[1]!.length === 200) {
          consumer.resume([{ topic, partition: 0 }])
          paused = false
        }
        if (read[0]!.length + read[1]!.length === 400) break
      }
      for (const values of read)
        assert.deepEqual(
          values,
          Array.from({ length: 200 }, (_, i) => String(i)),
        )
      assert.throws(() => consumer.pause([{ topic, partition: 7 }]), code('INVALID_ARGUMENT'))
      await consumer.close()
    })

    test('position, lag, watermarks and offsets at a time are numbers', async () => {
      const topic = await numbers(context.kafka, 100)
      const consumer = await assigned(context.kafka, topic)
      const of = { topic, partition: 0 }
      await take(consumer, 10)
      assert.equal(consumer.position(of), 10)
      assert.equal(consumer.lag(of), 90)
      assert.equal(consumer.watermarks(of).highWatermark, 100)
      assert.deepEqual(consumer.assignment(), [of])
      const places = [
        { ...of, offset: 'latest' as const },
        { ...of, offset: 'earliest' as const },
        { ...of, offset: { timestamp: Date.now() + 60_000 } },
      ]
      assert.deepEqual(
        (await consumer.offsetsAt(places)).map(({ offset }) => offset),
        [100, 0, null],
      )
      assert.throws(() => consumer.seek({ ...of, offset: -1 }), code('INVALID_ARGUMENT', /^to\.offset: -1/))
      assert.throws(() => consumer.seek({ ...of, offset: 2 ** 60 }), code('INVALID_ARGUMENT'))
      await consumer.close()
    })
  })

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
      const { consumer, committed } = await member(topic)
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
        const { consumer, groupId } = await member(topic, { enableAutoCommit: true })
        const fail = (message: Message) => {
          if (message.text() === '5') throw new Error('handler')
        }
        await assert.rejects(consumer.forEach(fail, { concurrency }), /handler/)
        assert.deepEqual(await take(consumer, 2), ['0:6', '0:7'])
        await consumer.close()
        const { consumer: next } = await member(topic, { groupId })
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
      const { consumer: first, groupId } = await member(topic, { enableAutoCommit: true, heartbeatIntervalMs: 50 })
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
      const { consumer } = await member(topic)
      const begun = performance.now()
      for await (const _ of consumer) await consumer.close()
      assert.ok(performance.now() - begun < 3_000)
    })

    test('unsubscribe ends reading, and subscribe begins anew', async () => {
      const topic = await numbers(context.kafka, 10)
      const { consumer } = await member(topic)
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
