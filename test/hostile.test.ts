/** What is no plain object, error or signal, though it looks like one: a call still settles, with an error of ours. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Kafka } from '../ts/index.ts'
import { encoding } from '../ts/internal/encoders.ts'
import { code, setUp } from './support.ts'

const context = setUp()

const messageOf = (message: unknown) => Object.defineProperty(new Error(), 'message', { value: message })

test('whatever a getter throws, the argument is named', async () => {
  const admin = context.kafka.admin()
  const untold = new Proxy({}, { getPrototypeOf: () => assert.fail('asked what it is') })
  for (const thrown of [messageOf(Symbol('m')), messageOf(5), untold, null, Symbol('s')]) {
    const topic = () => {
      throw thrown
    }
    const given = [Object.defineProperty({ partitions: 1 }, 'topic', { get: topic, enumerable: true })]
    await assert.rejects(admin.createTopics(given as never), code('INVALID_ARGUMENT', /^topics\[0\]\.topic: cannot/))
  }
})

test('a signal that is none of Node’s never leaves a call pending', async () => {
  const admin = context.kafka.admin()
  const boom = () => {
    throw new Error('boom')
  }
  const nothing = () => {}
  const signal = (members: object) => ({ aborted: false, addEventListener: nothing, ...members }) as never
  const refused = code('INVALID_ARGUMENT', /^signal: /)
  const call = (members: object) => admin.listTopics({ signal: signal(members) })
  await assert.rejects(call({}), refused)
  await assert.rejects(call({ addEventListener: boom, removeEventListener: nothing }), refused)
  assert.ok(Array.isArray(await call({ removeEventListener: boom })))
  const early = signal({ aborted: true, removeEventListener: nothing })
  Object.defineProperty(early, 'reason', { get: boom })
  await assert.rejects(admin.listTopics({ signal: early }), code('ABORTED'))
})

test('a token whose end is no number is refused', async () => {
  const token = () => ({ value: 'opaque', expiresAt: Number.NaN })
  const sasl = { mechanism: 'OAUTHBEARER', token, withoutTls: true } as const
  await using kafka = new Kafka({ brokers: context.broker.address, sasl, logLevel: 'off' })
  await assert.rejects(kafka.admin().listTopics(), code('CALLBACK_FAILED', /expiresAt .* is NaN/))
})

test('a request that has no form in JSON, such as one longer than a string can be, is an error of ours', () => {
  assert.throws(() => encoding(value => value)(1n), code('INVALID_ARGUMENT', /^options: cannot be read/))
})
