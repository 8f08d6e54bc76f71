import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { InvalidConfigurationError } from '../../ts/errors.ts'
import { Arena, check, RECORD_HEADER, sizeBound, type Writable } from '../../ts/internal/arena.ts'

interface Vector {
  name: string
  topic: number
  message: Writable
  arena: string
}

const vectors = JSON.parse(readFileSync(new URL('../vectors/arena.json', import.meta.url), 'utf8')) as Vector[]

const written = (arena: Arena) => arena.buffer.subarray(0, arena.used)

describe('arena', () => {
  for (const { name, topic, message, arena: expected } of vectors) {
    test(`writes ${name} as the vectors have it, which the engine's tests read`, () => {
      const arena = new Arena(1024)
      arena.buffer.fill(0)
      assert.equal(arena.write(topic, message, -1), true)
      assert.equal(written(arena).toString('hex'), expected.replaceAll(' ', ''))
      assert.equal(arena.count, 1)
    })
  }

  test('strings of every length and of one to four bytes per character are UTF-8', () => {
    for (const character of ['a', 'ä', '€', '😀', '\ud800']) {
      for (let count = 0; count < 40; count++) {
        const text = `${'x'.repeat(count % 5)}${character.repeat(count)}`
        const arena = new Arena(1024)
        assert.equal(arena.write(0, { key: text, value: Buffer.from(text) }, -1), true)
        const body = written(arena).subarray(RECORD_HEADER)
        const length = Buffer.byteLength(text)
        assert.deepEqual(body.subarray(0, length), body.subarray(length, 2 * length))
      }
    }
  })

  test('a record that does not fit is refused whole, at every size, and fits into an arena of its bound', () => {
    const message: Writable = {
      key: 'schlüssel',
      value: 'wert €',
      headers: [
        ['a', null],
        ['ü', 'b'],
      ],
    }
    const bound = sizeBound(message, -1)
    for (let bytes = 0; bytes < bound; bytes += 4) {
      const arena = new Arena(bytes)
      if (arena.write(0, message, -1)) assert.ok(arena.used <= bytes)
      else assert.deepEqual([arena.used, arena.count], [0, 0])
    }
    assert.equal(new Arena(bound).write(0, message, -1), true)
  })

  test('a part of a wrong type is named, and nothing is written', () => {
    const wrong: [Writable, RegExp][] = [
      [{ value: 5 as never }, /^value: is a number, not a string, a Uint8Array or null$/],
      [{ value: undefined as never }, /^value: is undefined, .*null makes a tombstone/],
      [{ value: 'v', key: {} as never }, /^key: is an object/],
      [{ value: 'v', partition: -1 }, /^partition: is -1, not a whole number/],
      [{ value: 'v', partition: 1.5 }, /^partition: is 1.5/],
      [{ value: 'v', partition: '1' as never }, /^partition: is a string/],
      [{ value: 'v', timestamp: -1 }, /^timestamp: is -1/],
      [{ value: 'v', timestamp: new Date(Number.NaN) }, /^timestamp: is NaN/],
      [{ value: 'v', headers: { a: 1 as never } }, /^headers.a: is a number/],
      [{ value: 'v', headers: [[1 as never, 'x']] }, /^headers\[0\]: has a number as its name/],
      [{ value: 'v', headers: 'a' as never }, /^headers: is a string/],
    ]
    for (const [message, problem] of wrong) {
      const arena = new Arena(1024)
      const expected = (error: unknown) => {
        assert.ok(error instanceof InvalidConfigurationError)
        assert.equal(error.code, 'INVALID_ARGUMENT')
        assert.match(error.message, problem)
        return true
      }
      assert.throws(() => arena.write(0, message, -1), expected)
      assert.deepEqual([arena.used, arena.count], [0, 0])
      assert.throws(() => check(message, 7), /^.*messages\[7\]/)
    }
  })

  test('a record that is taken back is marked, those around it are not', () => {
    const arena = new Arena(1024)
    arena.write(1, { value: 'a' }, -1)
    const start = arena.used
    arena.write(2, { value: 'b' }, -1)
    arena.withdraw(start)
    assert.equal(arena.buffer.readInt32LE(0), 1)
    assert.equal(arena.buffer.readInt32LE(start), -1)
  })
})
