import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import type { TestValues } from '../../ts/generated/operations.ts'
import { type Environment, theEnvironment } from '../../ts/internal/environment.ts'
import { code } from '../support.ts'

const values: TestValues = {
  long: Number.MAX_SAFE_INTEGER,
  int: -5,
  bytes: new Uint8Array([0, 1, 254, 255]),
  double: Number.NEGATIVE_INFINITY,
  colour: 'GREEN',
  text: 'grüße, 😀',
  flag: true,
  maybe: null,
  longs: [0, -1, 2 ** 40],
}

const echo = (environment: Environment, changed: object) =>
  environment.call(0, 'testing.echo', { values: { ...values, ...changed }, secret: 'hunter2' })

describe('cold operations', () => {
  const environment = theEnvironment()

  test('every kind of value comes back as it went', async () => {
    assert.deepEqual(await echo(environment, {}), { ...values, bytes: Buffer.from(values.bytes) })
    const nan = await echo(environment, { double: Number.NaN, maybe: -(2 ** 53 - 1), colour: 'ULTRAVIOLET' })
    assert.ok(Number.isNaN(nan.double))
    assert.equal(nan.maybe, -(2 ** 53 - 1))
    assert.equal(nan.colour, 'ULTRAVIOLET')
    assert.equal((await echo(environment, { double: 1.5, maybe: undefined })).maybe, null)
  })

  test('a number that is not exact is refused on its way in, and never rounded on its way out', async () => {
    await assert.rejects(
      echo(environment, { long: 2 ** 53 }),
      code('INVALID_ARGUMENT', /^values\.long: 9007199254740992/),
    )
    await assert.rejects(echo(environment, { longs: [1, 0.5] }), code('INVALID_ARGUMENT', /longs\[1\]: 0.5/))
    const wire = JSON.stringify({
      values: { ...values, long: '9007199254740993', bytes: '', maybe: null, longs: [], double: 0 },
    })
    const { native } = environment
    await new Promise<void>((resolve, reject) => {
      // Past the codec, straight to the add-on: what comes back is more than a number can hold.
      const original = native.call.bind(native)
      native.call = (id, handle, operation) => original(id, handle, operation, wire)
      echo(environment, {}).then(
        () => reject(new Error('rounded')),
        error => {
          code('UNSUPPORTED', /9007199254740993 is beyond Number\.MAX_SAFE_INTEGER/)(error)
          resolve()
        },
      )
      native.call = original
    })
  })

  test('a value of a wrong type is named by its path, and a secret is never shown', async () => {
    await assert.rejects(echo(environment, { int: 'x' }), (error: unknown) => {
      assert.ok(code('INVALID_ARGUMENT', /^values\.int: is a string, not a number/)(error))
      assert.ok(!JSON.stringify(error).includes('hunter2'))
      return true
    })
    await assert.rejects(echo(environment, { bytes: 5 }), code('INVALID_ARGUMENT', /values\.bytes: is a number/))
    await assert.rejects(environment.call(0, 'testing.echo', {} as never), code('INVALID_ARGUMENT', /values/))
  })

  test('a handle that is closed, of another kind or made up is a clear error, and closing twice is none', async () => {
    const client = environment.open('client', 0, { brokers: '127.0.0.1:1' })
    const producer = environment.open('producer', client, {})
    await assert.rejects(
      environment.call(producer, 'admin.listTopics', {}),
      code('INVALID_ARGUMENT', /is not one of these: admin/),
    )
    await environment.call(producer, 'producer.close', {})
    await environment.call(producer, 'producer.close', {})
    await assert.rejects(environment.call(producer, 'producer.flush', {}), code('CLOSED'))
    const reused = environment.open('producer', client, {})
    assert.notEqual(reused, producer)
    await assert.rejects(environment.call(producer, 'producer.flush', {}), code('CLOSED'))
    assert.throws(() => environment.native.topic(producer, 't'), /CLOSED/)
    assert.throws(() => environment.native.nextChunk(12345), /CLOSED/)
    await environment.call(client, 'client.close', {})
  })

  test('a call whose signal is aborted rejects at once', async () => {
    const client = environment.open('client', 0, { brokers: '127.0.0.1:1' })
    const abort = new AbortController()
    const call = environment.call(client, 'admin.listTopics', {}, abort.signal)
    setTimeout(() => abort.abort(new Error('mine')), 20)
    await assert.rejects(call, (error: Error) => {
      assert.equal((error.cause as Error).message, 'mine')
      return code('ABORTED')(error)
    })
    await assert.rejects(
      environment.call(client, 'admin.listTopics', {}, abort.signal),
      code('ABORTED', /before it began/),
    )
    await environment.call(client, 'client.close', {})
  })

  test('a call that the add-on does not take rejects, and does not keep the process', async () => {
    const { native } = environment
    const { call, hold } = native
    const held: boolean[] = []
    native.hold = yes => void held.push(yes)
    native.call = () => {
      throw new Error('no thread')
    }
    const refused = environment.call(0, 'admin.listTopics', {})
    Object.assign(native, { call, hold })
    await assert.rejects(refused, /no thread/)
    assert.deepEqual(held, [true, false])
  })
})

test('every export of the add-on catches panics', () => {
  const folder = new URL('../../native/node/src/', import.meta.url)
  for (const file of readdirSync(folder)) {
    const source = readFileSync(new URL(file, folder), 'utf8')
    const functions = source.match(/#\[napi[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*pub (?:async )?fn \w+/g) ?? []
    for (const one of functions) assert.match(one, /#\[napi\([^)]*catch_unwind/, `${file}: ${one}`)
  }
})
