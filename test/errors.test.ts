/** Every row of `native/spec/errors.toml` as programs get it: class, `code`, `retriable`, `fatal`, `abortable`. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import {
  AbortableError,
  ApplicationRecoverableError,
  InvalidConfigurationError,
  KafkaError,
  RefreshRetriableError,
  RetriableError,
} from '../ts/index.ts'
import { theEnvironment } from '../ts/internal/environment.ts'
import { failureOf } from '../ts/internal/failure.ts'

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
