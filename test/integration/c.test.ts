import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { examples, Programs, ran } from '../wrappers/c/programs.ts'
import { realKafka, type Server, unique } from './servers.ts'

let programs: Programs
let server: Server

before(async () => {
  programs = await Programs.start()
  server = await realKafka()
})

after(async () => {
  await server?.stop()
  programs?.end()
})

test('the examples in C and C++ write and read, alone and in a group, on Apache Kafka', async () => {
  const c = await programs.program(join(examples, 'produce_consume.c'))
  assert.match(
    await ran(c, server.bootstrap, unique('c')),
    /10000 records of \d+ bytes read, 10000 bytes of headers\n$/,
  )
  const cpp = await programs.program(join(examples, 'event_loop.cpp'))
  assert.match(
    await ran(cpp, server.bootstrap, unique('cpp')),
    /listener: assigned\n[\s\S]*listener: revoke\n5000 records read\n$/,
  )
})
