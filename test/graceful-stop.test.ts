/** `close` while `forEach` runs: what was begun is finished and committed before the member goes. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ForEachOptions, Message } from '../ts/index.ts'
import { assigned, code, member, numbers, setUp } from './support.ts'

/** A promise and what settles it. */
function gate() {
  let open = () => {}
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  return { opened, open }
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await sleep(5)
}

describe('close from outside while forEach runs', () => {
  const context = setUp()

  for (const concurrency of [1, 4, 'partition', 'key'] as NonNullable<ForEachOptions['concurrency']>[]) {
    test(`the running handlers finish, that is committed, and the successor goes on behind it (${concurrency})`, async () => {
      const topic = await numbers(context.kafka, 20)
      const options = { enableAutoCommit: true, autoCommitIntervalMs: 3_600_000, heartbeatIntervalMs: 50 }
      const { consumer, groupId } = await member(context.kafka, topic, options)
      const { opened, open } = gate()
      const begun: string[] = []
      const ended: string[] = []
      let stopping = false
      const loop = consumer.forEach(
        async message => {
          assert.equal(stopping, false, 'a handler began after close was called')
          begun.push(message.text()!)
          if (Number(message.text()) >= 3) await opened
          ended.push(message.text()!)
        },
        { concurrency },
      )
      const running = concurrency === 4 ? 4 : 1
      await until(() => begun.length === 3 + running)
      stopping = true
      const closed = consumer.close()
      // Whoever would have them next: it waits, as the one that goes still is a member.
      const { consumer: next } = await member(context.kafka, topic, { ...options, groupId })
      const taken: string[] = []
      const reading = next.forEach(message => {
        assert.equal(ended.length, begun.length, `${message.text()} came while handlers ran`)
        taken.push(message.text()!)
      })
      await sleep(300)
      assert.deepEqual([taken.length, ended.length], [0, 3])
      open()
      await Promise.all([closed, loop])
      assert.deepEqual(ended, begun)
      await until(() => taken.length === 20 - begun.length)
      assert.deepEqual(
        [...begun, ...taken],
        Array.from({ length: 20 }, (_, i) => String(i)),
      )
      await Promise.all([next.close(), reading])
    })
  }

  test('a signal and close together do the same', async () => {
    const topic = await numbers(context.kafka, 10)
    const { consumer, groupId } = await member(context.kafka, topic, { enableAutoCommit: true })
    const { opened, open } = gate()
    const abort = new AbortController()
    let begun = 0
    const handler = async () => {
      begun++
      await opened
    }
    const loop = assert.rejects(consumer.forEach(handler, { concurrency: 2, signal: abort.signal }), code('ABORTED'))
    await until(() => begun === 2)
    abort.abort()
    const closed = consumer.close()
    await sleep(100)
    open()
    await Promise.all([closed, loop])
    const { consumer: next, committed } = await member(context.kafka, topic, { groupId })
    assert.equal(await committed(), 2)
    await next.close()
  })

  test('handlers that run may commit and ask until they are done; nothing else begins', async () => {
    const topic = await numbers(context.kafka, 10)
    const { consumer, groupId } = await member(context.kafka, topic)
    const { opened, open } = gate()
    const running = gate()
    const loop = consumer.forEach(async message => {
      running.open()
      await opened
      assert.equal(consumer.position(message), 1)
      await consumer.commit([{ topic, partition: 0, offset: message.offset + 1 }])
    })
    await running.opened
    const closed = consumer.close()
    await assert.rejects(consumer.subscribe(topic), code('CLOSED'))
    await assert.rejects(consumer.assign([]), code('CLOSED'))
    await assert.rejects(consumer.messages().next(), code('CLOSED'))
    open()
    await Promise.all([closed, loop])
    assert.throws(() => consumer.assignment(), code('CLOSED'))
    const { consumer: next, committed } = await member(context.kafka, topic, { groupId })
    assert.equal(await committed(), 1)
    await next.close()
  })

  test('one that never ends is given up in time, and what the others finished is committed', async () => {
    const topic = await numbers(context.kafka, 10)
    const { consumer, groupId } = await member(context.kafka, topic, { enableAutoCommit: true })
    let begun = 0
    const never = new Promise<void>(() => {})
    const handler = (message: Message) => {
      begun++
      return message.offset < 2 ? undefined : never
    }
    void consumer.forEach(handler, { concurrency: 2 })
    await until(() => begun === 4)
    await consumer.close({ timeout: 400 }).catch(code('REQUEST_TIMED_OUT'))
    const { consumer: next, committed } = await member(context.kafka, topic, { groupId })
    assert.equal(await committed(), 2)
    await next.close()
  })

  test('a failure of a handler that is waited for reaches the loop, and close settles', async () => {
    const topic = await numbers(context.kafka, 10)
    const { consumer } = await member(context.kafka, topic, { enableAutoCommit: true })
    const { opened, open } = gate()
    let begun = 0
    const failing = async () => {
      begun++
      await opened
      throw new Error('handler')
    }
    const loop = assert.rejects(consumer.forEach(failing), /handler/)
    await until(() => begun === 1)
    const closed = consumer.close()
    open()
    await Promise.all([closed, loop])
  })
})

describe('close in a handler', () => {
  const context = setUp()

  test('does not wait for that handler, however deep behind an await, but for the others', async () => {
    const topic = await numbers(context.kafka, 10)
    const { consumer, groupId } = await member(context.kafka, topic, { enableAutoCommit: true })
    const { opened, open } = gate()
    let ended = 0
    const handler = async (message: Message) => {
      if (message.offset < 3) {
        await opened
        ended++
        return
      }
      await sleep(20)
      setTimeout(open, 100)
      const deep = async () => {
        await sleep(1)
        await consumer.close()
      }
      await deep()
      assert.equal(ended, 3)
    }
    await consumer.forEach(handler, { concurrency: 4 })
    const { consumer: next, committed } = await member(context.kafka, topic, { groupId })
    assert.equal(await committed(), 3)
    await next.close()
  })

  test('of another consumer inside of it does not wait for the outer one either', async () => {
    const topic = await numbers(context.kafka, 10)
    const outer = await assigned(context.kafka, topic)
    const inner = await assigned(context.kafka, topic)
    let closed = false
    await outer.forEach(async () => {
      await inner.forEach(async () => {
        await outer.close()
        await inner.close()
        closed = true
      })
    })
    assert.ok(closed)
  })

  test('unsubscribe waits for the other handlers, too', async () => {
    const topic = await numbers(context.kafka, 10)
    const { consumer, committed } = await member(context.kafka, topic, { enableAutoCommit: true })
    const { opened, open } = gate()
    let begun = 0
    const handler = async () => {
      begun++
      await opened
    }
    const loop = consumer.forEach(handler, { concurrency: 2 })
    await until(() => begun === 2)
    const unsubscribed = consumer.unsubscribe()
    await sleep(100)
    open()
    await unsubscribed
    assert.equal(await committed(), 2)
    await Promise.all([consumer.close(), loop])
  })
})
