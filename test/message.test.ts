import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import type { Message } from '../ts/index.ts'
import { assigned, setUp, unique } from './support.ts'

describe('message', () => {
  const context = setUp()

  const one = async (message: {
    key?: string | null
    value: string | Uint8Array | null
    headers?: [string, string | null][]
  }) => {
    const topic = unique('message')
    const producer = context.kafka.producer()
    await producer.sendBatch({
      topic,
      messages: [{ value: 'before' }, { ...message, timestamp: 1_000 }, { value: 'after' }],
    })
    await producer.close()
    const consumer = await assigned(context.kafka, topic)
    const messages: Message[] = []
    for await (const message of consumer) {
      messages.push(message)
      if (messages.length === 3) break
    }
    await consumer.close()
    return messages[1]!
  }

  test('decodes what is asked for', async () => {
    const message = await one({ key: 'k', value: '{"a":[1,2]}', headers: [['h', 'v']] })
    assert.deepEqual(message.json<{ a: number[] }>(), { a: [1, 2] })
    assert.equal(message.keyText(), 'k')
    assert.deepEqual([message.offset, message.timestamp, message.leaderEpoch], [1, 1_000, 0])
    assert.throws(() => message.copy().headers.get.call(null, 'h'), TypeError)
    const json = {
      topic: message.topic,
      partition: 0,
      offset: 1,
      timestamp: 1_000,
      key: 'k',
      value: '{"a":[1,2]}',
      headers: [['h', 'v']],
    }
    assert.deepEqual(JSON.parse(JSON.stringify(message)), json)
    assert.match(inspect(message), /offset: 1,[\s\S]*key: <Buffer 6b>/)
  })

  test('what is not JSON is an error of its own', async () => {
    const message = await one({ value: 'not json' })
    assert.throws(() => message.json(), SyntaxError)
  })

  test('copy holds its own bytes only, and says the same', async () => {
    for (const record of [
      {
        key: 'key',
        value: 'value',
        headers: [
          ['a', 'b'],
          ['c', null],
        ] as [string, string | null][],
      },
      { key: null, value: null },
      { key: '', value: '' },
      { value: Buffer.alloc(100, 7), headers: [] },
    ]) {
      const message = await one(record)
      const copy = message.copy()
      assert.deepEqual(JSON.parse(JSON.stringify(copy)), JSON.parse(JSON.stringify(message)))
      assert.deepEqual([copy.key, copy.value], [message.key, message.value])
      if (message.value !== null && copy.value !== null) {
        assert.ok(copy.value.buffer.byteLength < 200)
        copy.value.fill(0)
        if (message.value.length > 0) assert.notDeepEqual(copy.value, message.value)
      }
    }
  })
})
