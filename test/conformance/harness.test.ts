/** The harness sees what is wrong: cases with a wrong expectation fail. All of them are tried in test/long/mutants.test.ts. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { chapters } from './cases/index.ts'
import { elements, enumeral, groupOf, inAnyOrder, mismatch, oneOf, values } from './expect.ts'
import { embedded, perform } from './harness.ts'
import { languages } from './languages.ts'
import { mutants } from './mutants.ts'
import { Session } from './session.ts'

let session: Session
before(async () => {
  session = new Session(await languages[0]!.setUp())
})
after(() => session?.close())

for (const [title, cases] of chapters) {
  test(`a wrong expectation fails: ${title}`, async () => {
    for (const mutant of cases.slice(0, 2).flatMap(mutants)) {
      const place = await embedded(mutant)
      try {
        await assert.rejects(perform(mutant, session, place, `mutant-${Date.now()}`, 300), /step \d/)
      } finally {
        await place.broker?.stop()
      }
    }
  })
}

test('a driver that ends, or answers nonsense, is told with what it said', async () => {
  const talks = new Session({ command: [process.execPath, '-e', 'console.error("no such file"); process.exit(3)'] })
  await assert.rejects(talks.ask({ do: 'usage' }), /ended with 3\n.*no such file/s)
})

test('what is expected, and what is not', () => {
  const wrong = (found: unknown, expected: unknown) => mismatch(found, expected) !== undefined
  assert.ok(!wrong({ a: 1, b: 2 }, { a: 1 }))
  assert.ok(wrong({ a: 1 }, { a: 1, b: 2 }))
  assert.ok(wrong([1, 2], [1]))
  assert.ok(wrong(null, { a: null }))
  assert.ok(!wrong({}, { a: null }))
  assert.ok(!wrong([2, 1], inAnyOrder(1, 2)))
  assert.ok(wrong([2, 2], inAnyOrder(1, 2)))
  assert.ok(wrong([1], elements(2)))
  assert.ok(!wrong('STABLE', enumeral('Stable')))
  assert.ok(wrong(3, oneOf(1, 2)))
  assert.ok(!wrong([{ value: { base64: 'YQ==' } }], values('a')))
  assert.ok(wrong([{ value: { base64: 'YQ==' } }], values('b')))
  for (const name of ['RetriableError', 'KafkaRetriableException', 'retriable', 'RetriableException'])
    assert.equal(groupOf({ code: '', class: name }), 'retriable')
  assert.equal(groupOf({ code: '', class: 'KafkaError' }), '')
})
