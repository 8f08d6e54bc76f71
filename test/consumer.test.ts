import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Message } from '../ts/index.ts'
import { assigned, code, member, numbers, range, setUp, take, values } from './support.ts'

describe('consumer', () => {
  const context = setUp()

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
      const { consumer, committed } = await member(context.kafka, topic)
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
        const { consumer, groupId } = await member(context.kafka, topic, { enableAutoCommit: true })
        try {
          for await (const message of consumer) {
            if (message.text() !== '7') continue
            if (leave === 'throw') throw new Error('failed')
            break
          }
        } catch {}
        await consumer.close()
        const { consumer: next } = await member(context.kafka, topic, { groupId })
        assert.deepEqual(await take(next, 1), ['0:7'], leave)
        await next.close()
      }
    })

    test('a batch is finished by commit or by asking for the next one', async () => {
      const topic = await numbers(context.kafka, 1_000)
      const { consumer, committed } = await member(context.kafka, topic)
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
      const { consumer, groupId } = await member(context.kafka, topic, { enableAutoCommit: true })
      await assert.rejects(async () => {
        for await (const batch of consumer.batches())
          for (const message of batch) if (message.text() === '50') throw new Error('no')
      }, /no/)
      await consumer.close()
      const { consumer: next } = await member(context.kafka, topic, { groupId })
      assert.deepEqual(await take(next, 1), ['0:0'])
      await next.close()
    })

    test('what is read ahead is finished by done only, and counts from the first unfinished record', async () => {
      const topic = await numbers(context.kafka, 100)
      const { consumer, committed } = await member(context.kafka, topic)
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
      const { consumer } = await member(context.kafka, topic)
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
})
