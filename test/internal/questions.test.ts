import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { theEnvironment } from '../../ts/internal/environment.ts'
import { code } from '../support.ts'

describe('questions of the engine', () => {
  const environment = theEnvironment()
  let next = 1_000_000

  /** Asks a receiver that answers with `question`. */
  async function ask(question: ((request: unknown) => unknown) | undefined, deadlineMs = 60_000): Promise<string> {
    const of = next++
    const receiver = { client: 0, poisoned: () => {} }
    environment.listen(of, question ? { ...receiver, question: (_, request) => question(request) } : receiver)
    try {
      return await environment.call(0, 'testing.ask', { of, text: 'grüße', deadlineMs })
    } finally {
      environment.unlisten(of)
    }
  }

  test('are answered with what the program returns, at once or later', async () => {
    assert.equal(await ask(request => request), '{"text":"grüße"}')
    const later = async () => {
      await sleep(20)
      return [1, null]
    }
    assert.equal(await ask(later), '[1,null]')
    assert.equal(await ask(() => undefined), 'null')
  })

  test('are failed by what the program throws, whatever that is', async () => {
    const throwing = (thrown: unknown) => () => {
      throw thrown
    }
    await assert.rejects(ask(throwing(new Error('not today'))), code('CALLBACK_FAILED', /not today/))
    await assert.rejects(ask(throwing('text')), code('CALLBACK_FAILED', /a string/))
    await assert.rejects(
      ask(async () => Promise.reject(new Error('later'))),
      code('CALLBACK_FAILED', /later/),
    )
    await assert.rejects(
      ask(() => 1n),
      code('CALLBACK_FAILED', /BigInt/),
    )
  })

  test('nobody answers are failed at once, and slow ones at their deadline; a late answer is ignored', async () => {
    await assert.rejects(ask(undefined), code('CALLBACK_FAILED', /nobody/))
    let answer = () => {}
    const slow = new Promise<void>(resolve => {
      answer = resolve
    })
    await assert.rejects(
      ask(() => slow, 20),
      code('CALLBACK_FAILED', /no answer in time/),
    )
    answer()
    await sleep(20)
    assert.equal(await ask(() => 'the next one'), '"the next one"')
  })
})

describe('an error that cannot be told as it is', () => {
  const environment = theEnvironment()

  test('fails the question at once, and not at its deadline', async () => {
    const messageOf = (message: unknown) => Object.defineProperty(new Error(), 'message', { value: message })
    const odd: unknown[] = [new Error('half \ud800'), messageOf(5), messageOf(Symbol('m')), messageOf({}), null]
    odd.push(new Error('long'.repeat(1_000_000)))
    for (const [index, thrown] of odd.entries()) {
      const of = 2_000_000 + index
      const question = () => Promise.reject(thrown)
      environment.listen(of, { client: 0, poisoned: () => {}, question })
      const asked = environment.call(0, 'testing.ask', { of, text: '', deadlineMs: 600_000 })
      await assert.rejects(asked, code('CALLBACK_FAILED'))
      environment.unlisten(of)
    }
  })
})
