import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse, UsageError } from '../../scripts/lib/arguments.mjs'

const refused = (args: string[]): string => {
  try {
    parse(args)
  } catch (error) {
    assert.ok(error instanceof UsageError)
    return error.message
  }
  assert.fail(`${args.join(' ')} was accepted`)
}

test('without options a million records go through the embedded broker with lz4', () => {
  assert.deepEqual(parse([]), { records: 1_000_000, codec: 'lz4', json: false, help: false })
})

test('a value may follow its option or stand behind an equals sign', () => {
  assert.deepEqual(parse(['--records=5', '--codec', 'zstd', '--json', '--brokers', 'a:1,[::1]:2']), {
    records: 5,
    codec: 'zstd',
    brokers: 'a:1,[::1]:2',
    json: true,
    help: false,
  })
})

test('an unknown option is named, with those there are', () => {
  assert.match(
    refused(['--record', '5']),
    /^unknown option --record: there are --records, --codec, .* \(see npm start -- --help\)$/,
  )
  assert.match(refused(['--verbose']), /^unknown option --verbose: /)
})

test('a wrong value is named with what is allowed', () => {
  assert.match(refused(['--codec', 'zst']), /^--codec: zst is not one of none, gzip, snappy, lz4, zstd$/)
  assert.match(refused(['--records', '0']), /^--records: 0 is not a whole number from 1/)
  assert.match(refused(['--records', '1e3']), /^--records: 1e3 is not a whole number/)
  assert.match(refused(['--brokers', 'localhost']), /^--brokers: localhost is not HOST:PORT/)
  assert.match(refused(['--brokers', 'localhost:70000']), /is not HOST:PORT/)
  assert.match(refused(['--file']), /^--file needs a value/)
  assert.match(refused(['--file', 'x', '--records', '2']), /exclude each other/)
})
