import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { cLibrary } from '../../scripts/c-library.mjs'
import { root } from '../../scripts/lib/paths.mjs'
import { run } from '../../scripts/lib/run.mjs'
import { Broker } from '../../ts/broker.ts'

const examples = join(root, 'native', 'ffi', 'examples')
const strict = ['-Wall', '-Wextra', '-Werror', '-g', '-O1']
let prefix: string
let flags: string[]
let broker: Broker

before(async () => {
  prefix = mkdtempSync(join(tmpdir(), 'dohle-c-'))
  const packages = await cLibrary(prefix, { profile: 'dev' })
  const env = { PKG_CONFIG_PATH: packages }
  flags = (await run('pkg-config', ['--cflags', '--libs', 'dohle'], { capture: true, env })).trim().split(/\s+/)
  broker = await Broker.start({ partitions: 3 })
})

after(async () => {
  await broker?.stop()
  rmSync(prefix, { recursive: true, force: true })
})

/** Compiles a program with what pkg-config says, and returns its path. */
async function compiled(source: string): Promise<string> {
  const program = join(prefix, source.replace(/.*\//, '').replace(/\.\w+$/, ''))
  const compiler = source.endsWith('.cpp') ? ['c++', '-std=c++17'] : ['cc', '-std=c11', '-D_POSIX_C_SOURCE=200809L']
  const rpath = `-Wl,-rpath,${join(prefix, 'lib')}`
  await run(compiler[0]!, [...compiler.slice(1), ...strict, source, ...flags, rpath, '-lpthread', '-o', program], {
    capture: true,
  })
  return program
}

const ran = (program: string, ...args: string[]) => run(program, args, { capture: true })

/** Under valgrind: its exit code is 99 when memory was misused or lost. What lives as long as the process is no leak. */
function checked(program: string, ...args: string[]): Promise<string> {
  const options = [
    '-q',
    '--leak-check=full',
    '--errors-for-leak-kinds=definite,indirect',
    '--show-leak-kinds=definite,indirect',
  ]
  return run('valgrind', [...options, '--error-exitcode=99', '--fair-sched=yes', program, ...args], { capture: true })
}

test('the header stands alone, in C11 and in C++17, without a warning', async () => {
  for (const [compiler, standard, file] of [
    ['cc', 'c11', 'alone.c'],
    ['c++', 'c++17', 'alone.cpp'],
  ] as const) {
    const source = join(prefix, file)
    writeFileSync(source, '#include <dohle.h>\n')
    await run(
      compiler,
      [`-std=${standard}`, '-pedantic', ...strict, '-c', source, `-I${join(prefix, 'include')}`, '-o', `${source}.o`],
      {
        capture: true,
      },
    )
  }
})

test('every function and every member in the header is documented', () => {
  const lines = readFileSync(join(root, 'native', 'ffi', 'include', 'dohle.h'), 'utf8').split('\n')
  const bare = lines.filter((line, at) => {
    const declares = /^(?!typedef|\}|#|extern)[a-z].*[;(]/.test(line) || /^ {4}[a-z_0-9 *]+;$/.test(line)
    return declares && !lines[at - 1]!.trimStart().startsWith('//')
  })
  assert.deepEqual(bare, [])
})

test('the library exports what the header declares, and nothing else', async () => {
  const header = readFileSync(join(root, 'native', 'ffi', 'include', 'dohle.h'), 'utf8')
  const declared = new Set([...header.matchAll(/\b(dohle_\w+)\(/g)].map(match => match[1]!))
  const symbols = await run('nm', ['-D', '--defined-only', join(prefix, 'lib', 'libdohle.so.0')], { capture: true })
  const exported = [...symbols.matchAll(/ [TDBR] (\S+)/g)].map(match => match[1]!)
  assert.deepEqual(exported.toSorted(), [...declared].toSorted())
})

test('the examples run as pasted, on an embedded broker of their own', async () => {
  const c = await compiled(join(examples, 'produce_consume.c'))
  assert.match(await ran(c), /^10000 records acknowledged\n10000 records of \d+ bytes read, 10000 bytes of headers\n$/)
  const cpp = await compiled(join(examples, 'event_loop.cpp'))
  const said = await ran(cpp)
  assert.match(said, /refused: INVALID_TOPIC_EXCEPTION\n5000 records acknowledged\nlistener: assigned\n/)
  assert.match(said, /listener: revoke\n5000 records read\n$/)
})

test('what C wrote is what TypeScript reads, and the other way round', async () => {
  const c = await compiled(join(examples, 'produce_consume.c'))
  await ran(c, broker.address, 'from-c')
  const { Kafka } = await import('../../ts/index.ts')
  await using kafka = new Kafka({ brokers: broker.address })
  await using consumer = kafka.consumer({ groupId: 'reads-c', autoOffsetReset: 'earliest' })
  await consumer.subscribe('from-c')
  const numbers = new Set<number>()
  for await (const message of consumer) {
    const { number } = message.json() as { number: number }
    assert.equal(`${message.key}`, `key-${number % 100}`)
    assert.equal(`${message.headers?.from}`, 'C')
    numbers.add(number)
    if (numbers.size === 10_000) break
  }
})

test('under valgrind the examples misuse and lose no memory', async () => {
  await checked(await compiled(join(examples, 'produce_consume.c')), broker.address, 'valgrind-c')
  await checked(await compiled(join(examples, 'event_loop.cpp')), broker.address, 'valgrind-cpp')
})

test('wrong use is a clear failure, from any thread and at any time', async () => {
  const abuse = await compiled(join(root, 'test', 'wrappers', 'c', 'abuse.c'))
  const said = await ran(abuse, broker.address, 'many')
  assert.deepEqual(said.trim().split('\n'), [
    'nonsense: refused',
    'use after close: refused',
    'closed while another thread polls: the poll ends',
    'closed while others wait: the waits end',
    '10000 clients: opened and closed',
  ])
  await checked(abuse, broker.address)
})
