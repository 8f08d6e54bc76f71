// The clients: how each is set up and started, and how many records it gets where it is slower than others.
// A client that cannot be set up says why; the runner reports it as missing.

import { join } from 'node:path'
import { build } from '../../scripts/build.mjs'
import { root, target } from '../../scripts/lib/paths.mjs'
import { run } from '../../scripts/lib/run.mjs'
import { python } from '../../scripts/lib/tools.mjs'
import { dohleJava, franzGo, kafkaClients } from './compiled-peers.mjs'
import { confluent } from './confluent.mjs'
import { dohleDotnet } from './dotnet.mjs'
import { librdkafka } from './librdkafka.mjs'
import { npmPeers } from './npm-peers.mjs'
import { pythonDohle, pythonPeer } from './python.mjs'

const program = name => join(root, 'bench', 'clients', name)
const peer = name => join(root, 'bench', 'peers', name)

/** What a client can be asked for that is complete but for the scenarios of JavaScript. */
const engine = ['produce', 'enqueue', 'single', 'sequential', 'consume', 'consume-batches', 'end-to-end', 'fan']

/**
 * Fields of a client:
 * - `setUp(context)`: makes it ready and returns the command that runs one round; throws with the reason if it cannot
 * - `modes`: what its program can be asked for
 * - `pace`: its share of the records per kind of scenario (1 where absent), so that a round of a slow client ends in
 *   half a minute
 */
export const clients = {
  dohle: {
    title: 'Dohle, TypeScript',
    modes: [...engine, 'event-loop', 'soak'],
    async setUp({ say, prebuilt, nodeCommand }) {
      if (!prebuilt) await build(say, 'dist')
      return [nodeCommand, program('dohle.mjs')]
    },
  },
  'dohle-rust': {
    title: 'Dohle, Rust (the engine alone)',
    modes: engine,
    async setUp({ say }) {
      say('building dohle-rust (dist profile)')
      const manifest = join('native', 'Cargo.toml')
      await run('cargo', [
        'build',
        '--locked',
        '--quiet',
        '--manifest-path',
        manifest,
        '-p',
        'dohle-bench',
        '--profile',
        'dist',
      ])
      return [join(target, 'dist', 'dohle-rust')]
    },
  },
  'dohle-dotnet': {
    title: 'Dohle, C# on .NET Core 3.1',
    modes: ['produce', 'enqueue', 'single', 'sequential', 'consume'],
    pace: { single: 0.4 },
    setUp: ({ say }) => dohleDotnet(say),
  },
  'dohle-java': {
    title: 'Dohle, Java',
    modes: ['produce', 'enqueue', 'single', 'sequential', 'consume', 'consume-batches', 'end-to-end'],
    setUp: ({ say }) => dohleJava(say),
  },
  librdkafka: {
    title: 'librdkafka, C',
    modes: engine,
    setUp: async ({ say }) => [await librdkafka(say)],
  },
  'confluent-kafka-javascript': {
    title: '@confluentinc/kafka-javascript, promises',
    modes: ['produce', 'single', 'sequential', 'consume', 'consume-batches', 'end-to-end', 'event-loop'],
    pace: { produce: 0.4, single: 0.1, consume: 0.1, acks0: 0.2 },
    async setUp({ say, nodeCommand }) {
      await confluent(say, nodeCommand)
      return [nodeCommand, peer('confluent.mjs')]
    },
  },
  'confluent-kafka-javascript-callbacks': {
    title: '@confluentinc/kafka-javascript, callbacks',
    modes: ['produce', 'enqueue', 'single', 'sequential', 'consume', 'consume-batches'],
    pace: { produce: 0.4, single: 0.4, consume: 0.2, acks0: 0.2 },
    async setUp({ say, nodeCommand }) {
      await confluent(say, nodeCommand)
      return [nodeCommand, peer('confluent-callbacks.mjs')]
    },
  },
  platformatic: {
    title: '@platformatic/kafka',
    modes: ['produce', 'single', 'sequential', 'consume', 'end-to-end', 'fan', 'event-loop'],
    pace: { produce: 0.6, single: 0.04 },
    async setUp({ say, nodeCommand }) {
      await npmPeers(say)
      return [nodeCommand, peer('platformatic.mjs')]
    },
  },
  kafkajs: {
    title: 'kafkajs',
    modes: ['produce', 'single', 'sequential', 'consume', 'consume-batches', 'end-to-end', 'event-loop'],
    pace: { produce: 0.3, single: 0.02, consume: 0.4 },
    async setUp({ say, nodeCommand }) {
      await npmPeers(say)
      return [nodeCommand, peer('kafkajs.mjs')]
    },
  },
  'franz-go': {
    title: 'franz-go, Go',
    modes: engine,
    setUp: ({ say }) => franzGo(say),
  },
  'kafka-clients': {
    title: 'kafka-clients, Java',
    modes: ['produce', 'enqueue', 'single', 'sequential', 'consume', 'consume-batches', 'end-to-end'],
    setUp: ({ say }) => kafkaClients(say),
  },
  'dohle-python': {
    title: 'Dohle, Python',
    modes: ['enqueue', 'single', 'sequential', 'consume', 'consume-batches'],
    pace: { single: 0.2, consume: 0.5 },
    setUp: async context => [await pythonDohle(context), program('python_sync.py'), 'dohle'],
  },
  'confluent-kafka-python': {
    title: 'confluent-kafka, Python',
    modes: ['enqueue', 'single', 'sequential', 'consume', 'consume-batches'],
    pace: { produce: 0.4, single: 0.2, consume: 0.3 },
    setUp: async ({ say }) => [await python(say), program('python_sync.py'), 'confluent_kafka'],
  },
  'dohle-python-asyncio': {
    title: 'Dohle, Python asyncio',
    modes: ['single', 'sequential', 'consume'],
    pace: { single: 0.1, consume: 0.2 },
    setUp: async context => [await pythonDohle(context), program('python_asyncio.py'), 'dohle'],
  },
  aiokafka: {
    title: 'aiokafka, Python asyncio',
    modes: ['single', 'sequential', 'consume'],
    pace: { single: 0.02, consume: 0.1 },
    setUp: async ({ say }) => [await pythonPeer(say), program('python_asyncio.py'), 'aiokafka'],
  },
}
