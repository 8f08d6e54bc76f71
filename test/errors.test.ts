/** Every row of `native/spec/errors.toml` as programs get it: class, `code`, `retriable`, `fatal`, `abortable`. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import {
  AbortableError,
  ApplicationRecoverableError,
  InvalidConfigurationError,
  KafkaError,
  PartialFailureError,
  RefreshRetriableError,
  RetriableError,
} from '../ts/index.ts'
import { theEnvironment } from '../ts/internal/environment.ts'
import { failureOf } from '../ts/internal/failure.ts'
import { setUp, unique } from './support.ts'

/** The five groups of KIP-1050, and what is outside of them. */
const classes: Record<string, typeof KafkaError> = {
  retriable: RetriableError,
  'refresh-retriable': RefreshRetriableError,
  'transaction-abortable': AbortableError,
  'application-recoverable': ApplicationRecoverableError,
  'invalid-configuration': InvalidConfigurationError,
  none: KafkaError,
  other: KafkaError,
}

interface Row {
  name: string
  class: string
  retriable: boolean
  text: string
  code?: number
}

const table = readFileSync(new URL('../native/spec/errors.toml', import.meta.url), 'utf8')

function rows(kind: string): Row[] {
  const parts = table.split(/^\[\[/m).filter(part => part.startsWith(`${kind}]]`))
  return parts.map(part => {
    const value = (key: string) => new RegExp(`^${key} = "?(.*?)"?$`, 'm').exec(part)?.[1]
    const code = value('code')
    return {
      name: value('name')!,
      class: value('class')!,
      retriable: value('retriable') === 'true',
      text: value('text')!,
      ...(code === undefined ? {} : { code: Number(code) }),
    }
  })
}

/** How an engine's error with this code comes out of a call. */
async function failed(code: number, { abortable = false, fatal = false } = {}): Promise<KafkaError> {
  const call = theEnvironment().call(0, 'testing.fail', { code, abortable, fatal })
  return await call.then(
    () => assert.fail('it did not fail'),
    error => error,
  )
}

const told = ({ code, retriable, fatal, abortable, persistence, name }: KafkaError) => {
  return { code, retriable, fatal, abortable, persistence, name }
}

/** Exactly this class, not one that is derived from it. */
function isOf(error: KafkaError, row: string, what = ''): void {
  const wanted = classes[row]
  assert.ok(wanted !== undefined, `${row} is no class that TypeScript has one for`)
  assert.equal(error.constructor, wanted, what)
  assert.ok(error instanceof KafkaError && error instanceof Error)
  assert.equal(error.name, wanted.name)
}

describe('each error of a broker', () => {
  const errors = rows('error')
  assert.ok(errors.length > 130, `${errors.length} rows were found`)
  for (const row of errors) {
    test(`${row.name} is of the class of its row (${row.class}), and says what the row says`, async () => {
      const error = await failed(row.code!)
      isOf(error, row.class)
      assert.ok(error.message.includes(row.text), error.message)
      const { name } = error
      const { retriable } = row
      const plain = { code: row.name, retriable, fatal: false, abortable: false, persistence: undefined, name }
      assert.deepEqual(told(error), plain)

      // The state of a transaction or of a producer says more than the code.
      const ended = await failed(row.code!, { abortable: true })
      isOf(ended, 'transaction-abortable')
      const abortable = { ...plain, retriable: false, abortable: true, name: 'AbortableError' }
      assert.deepEqual(told(ended), abortable)
      const fatal = await failed(row.code!, { fatal: true })
      isOf(fatal, row.class)
      assert.deepEqual(told(fatal), { ...plain, retriable: false, fatal: true })
    })
  }

  test('a code that this version does not know keeps its number', async () => {
    const error = await failed(9_999)
    isOf(error, 'other')
    assert.deepEqual(
      [error.code, error.retriable, error.fatal, error.abortable],
      ['UNKNOWN(9999)', false, false, false],
    )
  })
})

describe('each error of our own', () => {
  const own = rows('own')
  assert.ok(own.length > 10)
  for (const row of own) {
    test(`${row.name} is of the class of its row (${row.class})`, () => {
      // The engine's own test holds its errors to the rows; this is how one of them crosses.
      const name = row.class.replace(/-./g, two => two[1]!.toUpperCase()).replace('transactionAbortable', 'abortable')
      const { retriable } = row
      const error = failureOf(JSON.stringify({ code: row.name, class: name, message: 'm', retriable, fatal: false }))
      isOf(error, row.class)
      assert.deepEqual([error.code, error.retriable, error.message], [row.name, retriable, 'm'])
    })
  }
})

describe("an error of a program's own", () => {
  test('needs a code', () => {
    for (const options of [undefined, null, {}, { code: 5 }])
      assert.throws(() => new KafkaError('x', options as never), isInvalidArgument)
    assert.equal(new KafkaError('x', { code: 'CLOSED' }).code, 'CLOSED')
  })

  test('keeps its message and its causes as JSON', () => {
    const cause = new Error('outer', { cause: new RetriableError('inner', { code: 'REQUEST_TIMED_OUT' }) })
    const item = { name: 'orders', error: new KafkaError('no', { code: 'POLICY_VIOLATION' }) }
    const error = new RetriableError('it failed', { code: 'NETWORK_EXCEPTION', retriable: true, cause, items: [item] })
    const plain = { retriable: false, fatal: false, abortable: false }
    assert.deepEqual(JSON.parse(JSON.stringify(error)), {
      name: 'RetriableError',
      message: 'it failed',
      code: 'NETWORK_EXCEPTION',
      retriable: true,
      fatal: false,
      abortable: false,
      items: [{ name: 'orders', error: { name: 'KafkaError', message: 'no', code: 'POLICY_VIOLATION', ...plain } }],
      cause: {
        name: 'Error',
        message: 'outer',
        cause: { name: 'RetriableError', code: 'REQUEST_TIMED_OUT', message: 'inner' },
      },
    })
    const failures = [{ index: 0, error, persistence: 'not-persisted' as const }]
    const partial = JSON.parse(JSON.stringify(new PartialFailureError(failures, 1)))
    assert.equal(partial.failures[0].error.message, 'it failed')
    // What is thrown may be anything, and refer to itself.
    const odd = new Error('odd')
    odd.cause = odd
    assert.ok(JSON.stringify(new KafkaError('x', { code: 'CLOSED', cause: odd })).length < 1_000)
    assert.equal(JSON.parse(JSON.stringify(new KafkaError('x', { code: 'CLOSED', cause: 1n }))).cause, undefined)
  })
})

const isInvalidArgument = (error: unknown) =>
  error instanceof InvalidConfigurationError && error.code === 'INVALID_ARGUMENT' && /options\.code/.test(error.message)

describe('an admin call about several things', () => {
  const context = setUp()

  test('tells which failed, each with its own error', async () => {
    const admin = context.kafka.admin()
    const [first, second, third] = [unique('items'), unique('items'), unique('items')]
    await admin.createTopics([{ topic: first }])
    const error = await admin
      .createTopics([{ topic: first }, { topic: second }, { topic: third, replicationFactor: 9 }])
      .then(
        () => assert.fail('all were created'),
        error => error as KafkaError,
      )
    assert.deepEqual(
      error.items?.map(({ name, error }) => [name, error.code]),
      [
        [first, 'TOPIC_ALREADY_EXISTS'],
        [third, 'INVALID_REPLICATION_FACTOR'],
      ],
    )
    assert.equal(error.code, 'TOPIC_ALREADY_EXISTS')
    const [exists] = error.items!
    assert.ok(exists?.error instanceof KafkaError)
    assert.equal(error.message, `createTopics: 2 of 3 failed; ${first}: ${exists.error.message}`)
    assert.doesNotMatch(exists.error.message, /createTopics/, 'said once, in front')
    assert.ok(
      (await admin.listTopics()).some(({ topic }) => topic === second),
      'what is not named was done',
    )
    await assert.rejects(admin.deleteTopics([second, first, unique('none')]), (error: KafkaError) => {
      assert.deepEqual(
        error.items?.map(of => of.error.code),
        ['UNKNOWN_TOPIC_OR_PARTITION'],
      )
      return true
    })
    await admin.createTopics([{ topic: first }])
    const alone = await admin.createTopics([{ topic: first }]).catch(error => error as KafkaError)
    assert.ok(alone instanceof KafkaError && alone.items?.length === 1)
  })
})
