// Builds the binary of @confluentinc/kafka-javascript from its source. Its install script would fetch one from the internet, for
// which a benchmark must not depend on more than the npm registry; so it is linked with the librdkafka of librdkafka.mjs.

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cache } from '../../scripts/lib/paths.mjs'
import { CommandError, run } from '../../scripts/lib/run.mjs'
import { librdkafkaLibrary } from './librdkafka.mjs'
import { npmPeers } from './npm-peers.mjs'

let running

/** Makes the package usable by this Node. */
export function confluent(say, nodeCommand) {
  running ??= make(say, nodeCommand)
  return running
}

async function make(say, nodeCommand) {
  const place = join(await npmPeers(say), '@confluentinc', 'kafka-javascript')
  const binary = join(place, 'build', 'Release', 'confluent-kafka-javascript.node')
  if (existsSync(binary)) return
  const library = await librdkafkaLibrary(say)
  const gyp = await nodeGyp()
  say('building the binary of @confluentinc/kafka-javascript')
  const headers = dirname(dirname(nodeCommand))
  const where = [join(library, 'src'), join(library, 'src-cpp')]
  const env = {
    BUILD_LIBRDKAFKA: '0',
    CPATH: where.join(':'),
    LDFLAGS: where.map(folder => `-L${folder} -Wl,-rpath,${folder}`).join(' '),
    PATH: `${dirname(nodeCommand)}:${process.env.PATH}`,
  }
  const nodedir = existsSync(join(headers, 'include', 'node', 'node.h')) ? [`--nodedir=${headers}`] : []
  await run(nodeCommand, [gyp, 'rebuild', '-j', '2', ...nodedir], { capture: true, cwd: place, env })
  if (!existsSync(binary)) throw new CommandError('node-gyp built no binary')
}

/** npm brings node-gyp along. */
async function nodeGyp() {
  const global = (await run('npm', ['root', '-g'], { capture: true })).trim()
  const own = join(global, 'npm', 'node_modules', 'node-gyp', 'bin', 'node-gyp.js')
  if (existsSync(own)) return own
  const fetched = join(cache, 'node-gyp')
  await run('npm', ['install', '--prefix', fetched, '--no-save', '--no-audit', '--no-fund', 'node-gyp@12'], {
    capture: true,
  })
  return join(fetched, 'node_modules', 'node-gyp', 'bin', 'node-gyp.js')
}
