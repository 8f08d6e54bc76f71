import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { root } from '../../scripts/lib/paths.mjs'
import { run } from '../../scripts/lib/run.mjs'
import { Broker } from '../../ts/broker.ts'
import { Kafka } from '../../ts/index.ts'
import { checked, examples, Programs, ran } from './c/programs.ts'

const inC = join(examples, 'produce_consume.c')
const inCpp = join(examples, 'event_loop.cpp')
const header = readFileSync(join(root, 'native', 'ffi', 'include', 'dohle.h'), 'utf8')
let programs: Programs
let broker: Broker

before(async () => {
  programs = await Programs.start()
  broker = await Broker.start({ partitions: 3 })
})

after(async () => {
  await broker?.stop()
  programs?.end()
})

test('the header stands alone, in C11 and in C++17, without a warning', async () => {
  for (const file of ['alone.c', 'alone.cpp']) {
    const source = join(programs.prefix, file)
    writeFileSync(source, '#include <dohle.h>\n')
    await programs.compile(source, '-pedantic', '-c', '-o', `${source}.o`)
  }
})

test('every function and every member in the header is documented', () => {
  const lines = header.split('\n')
  const declares = (line: string) => /^(?!typedef|\}|#|extern)[a-z].*\(/.test(line) || /^ {4}[a-z][\w *]+;$/.test(line)
  const bare = lines.filter((line, at) => declares(line) && !lines[at - 1]!.trimStart().startsWith('//'))
  assert.deepEqual(bare, [])
  assert.ok(lines.filter(declares).length > 70)
})

test('the library exports what the header declares, and nothing else', async () => {
  const declared = new Set([...header.matchAll(/^\w.*?\b(dohle_\w+)\(/gm)].map(match => match[1]!))
  const symbols: string = await run('nm', ['-D', '--defined-only', join(programs.prefix, 'lib', 'libdohle.so')], {
    capture: true,
  })
  const exported = [...symbols.matchAll(/ [TDBR] (\S+)/g)].map(match => match[1]!)
  assert.deepEqual(exported.toSorted(), [...declared].toSorted())
})

test('the examples run as pasted, on an embedded broker of their own', async () => {
  const c = await ran(await programs.program(inC))
  assert.match(c, /^10000 records acknowledged\n10000 records of \d+ bytes read, 10000 bytes of headers\n$/)
  const cpp = await ran(await programs.program(inCpp))
  assert.match(cpp, /^refused: INVALID_ARGUMENT\n5000 records acknowledged\nlistener: assigned\n/)
  assert.match(cpp, /listener: revoke\n5000 records read\n$/)
})

test('what C wrote is what TypeScript reads', async () => {
  await ran(await programs.program(inC), broker.address, 'from-c')
  await using kafka = new Kafka({ brokers: broker.address })
  await using consumer = kafka.consumer({ groupId: 'reads-c', autoOffsetReset: 'earliest' })
  await consumer.subscribe('from-c')
  const numbers = new Set<number>()
  for await (const message of consumer) {
    const { number } = message.json() as { number: number }
    assert.equal(`${message.key}`, `key-${number % 100}`)
    assert.equal(`${message.headers.get('from')}`, 'C')
    numbers.add(number)
    if (numbers.size === 10_000) break
  }
})

test('under valgrind the examples misuse and lose no memory', async () => {
  await checked(await programs.program(inC), broker.address, 'valgrind-c')
  await checked(await programs.program(inCpp), broker.address, 'valgrind-cpp')
})

test('wrong use is a clear failure, from any thread and at any time', async () => {
  const abuse = await programs.program(join(root, 'test', 'wrappers', 'c', 'abuse.c'))
  const said = await ran(abuse, broker.address, 'many')
  assert.deepEqual(said.trim().split('\n'), [
    'nonsense: refused',
    'use after close: refused',
    'garbage in an arena: refused',
    'closed while another thread polls: the poll ends',
    'closed while others wait: the waits end',
    '10000 clients: opened and closed',
  ])
  await checked(abuse, broker.address)
})
