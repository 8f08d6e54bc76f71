import assert from 'node:assert/strict'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server as NetServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { Kafka, KafkaError } from 'dohle'
import { freePorts } from '../../scripts/kafka.mjs'
import { created, type Server, servers, unique } from './servers.ts'

/** What a slow machine may add to a timeout of the client; less than the timeouts that nobody has set here (30 s). */
const slackMs = 20_000

/** Waits for the error of a call; it must be one of ours and come within `withinMs`. */
async function failure(call: () => Promise<unknown>, withinMs: number): Promise<KafkaError> {
  const begun = performance.now()
  const error = await call().then(
    value => assert.fail(`it succeeded with ${JSON.stringify(value)}`),
    error => error,
  )
  const took = performance.now() - begun
  assert.ok(error instanceof KafkaError, `${error?.stack}`)
  assert.ok(took < withinMs + slackMs, `it took ${took} ms`)
  return error
}

/** The messages of an error and of all its causes. */
function story(error: unknown): string {
  return error instanceof Error ? `${error.message}\n${story(error.cause)}` : ''
}

const maxBlockMs = 5_000

async function sendTo(brokers: string): Promise<KafkaError> {
  const kafka = new Kafka({ brokers })
  try {
    const producer = kafka.producer({ maxBlockMs })
    return await failure(() => producer.send({ topic: 'any', value: 'v' }), maxBlockMs)
  } finally {
    await kafka.close({ timeout: 1_000 })
  }
}

async function listening(server: NetServer): Promise<number> {
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  return (server.address() as AddressInfo).port
}

describe('an address where no Kafka is', () => {
  test('nobody listens: the error names the address', async () => {
    const [port] = await freePorts(1)
    const error = await sendTo(`127.0.0.1:${port}`)
    assert.match(story(error), new RegExp(`127\\.0\\.0\\.1:${port}`))
    assert.ok(error.retriable, error.code)
  })

  test('a name that does not exist: the error names it', async () => {
    const error = await sendTo('no-such-host.invalid:9092')
    assert.match(story(error), /no-such-host\.invalid/)
  })

  test('a port that speaks HTTP: the error says so', async () => {
    const http = createHttpServer((_, response) => response.end('hello'))
    const port = await listening(http)
    try {
      const error = await sendTo(`127.0.0.1:${port}`)
      assert.match(story(error), /HTTP/)
      assert.match(story(error), new RegExp(String(port)))
    } finally {
      http.closeAllConnections()
      http.close()
    }
  })

  test('a port that accepts and never answers: the call ends within its timeout', async () => {
    const sockets = new Set<{ destroy(): void }>()
    const silent = createServer(socket => {
      sockets.add(socket)
      socket.on('error', () => {})
    })
    const port = await listening(silent)
    try {
      const error = await sendTo(`127.0.0.1:${port}`)
      assert.match(story(error), new RegExp(`127\\.0\\.0\\.1:${port}`))
    } finally {
      for (const socket of sockets) socket.destroy()
      silent.close()
    }
  })

  test('the admin client and a consumer say it too', async () => {
    const [port] = await freePorts(1)
    const kafka = new Kafka({ brokers: `127.0.0.1:${port}`, defaultApiTimeoutMs: 3_000 })
    try {
      const error = await failure(() => kafka.admin().listTopics(), 3_000)
      assert.match(story(error), new RegExp(`127\\.0\\.0\\.1:${port}`))
    } finally {
      await kafka.close({ timeout: 1_000 })
    }
  })
})

for (const [name, start] of servers) {
  describe(`errors of ${name}`, () => {
    let server: Server
    let kafka: Kafka
    before(async () => {
      server = await start()
      kafka = new Kafka({ brokers: server.bootstrap })
    })
    after(async () => {
      await kafka?.close()
      await server?.stop()
    })

    test('a topic that does not exist, when topics are not made by themselves', async () => {
      const producer = kafka.producer({ maxBlockMs, allowAutoCreateTopics: false })
      const topic = unique('missing')
      const error = await failure(() => producer.send({ topic, value: 'v' }), maxBlockMs)
      assert.equal(error.code, 'UNKNOWN_TOPIC_OR_PARTITION')
      assert.match(error.message, new RegExp(topic))
      await producer.close()
      assert.ok(!(await kafka.admin().listTopics()).some(other => other.topic === topic), 'it was not made')
    })

    test('a partition that does not exist', async () => {
      const producer = kafka.producer({ maxBlockMs })
      const topic = unique('partition')
      await created(kafka.admin(), [{ topic, partitions: 2 }])
      const error = await failure(() => producer.send({ topic, value: 'v', partition: 7 }), maxBlockMs)
      assert.match(error.message, /2 partitions/)
      await producer.close()
    })

    test('a record larger than the client allows is refused at once, with size and limit', async () => {
      const producer = kafka.producer({ maxRequestSize: 100_000 })
      const error = await failure(() => producer.send({ topic: 'any', value: 'x'.repeat(200_000) }), 1_000)
      assert.equal(error.code, 'MESSAGE_TOO_LARGE')
      assert.match(error.message, /100000/)
      assert.equal(error.retriable, false)
      await producer.close()
    })

    test('a record larger than the broker allows is refused by the broker', async () => {
      const producer = kafka.producer({ maxRequestSize: 8_000_000 })
      const topic = unique('large')
      await created(kafka.admin(), [{ topic, partitions: 1 }])
      const error = await failure(() => producer.send({ topic, value: 'x'.repeat(3_000_000) }), 30_000)
      assert.equal(error.code, 'MESSAGE_TOO_LARGE')
      const { offset } = await producer.send({ topic, value: 'a small one afterwards' })
      assert.equal(offset, 0)
      await producer.close()
    })

    test('a value of a wrong type is named with what it is', async () => {
      const producer = kafka.producer()
      for (const [wrong, said] of [
        [42, /value.*number/],
        [undefined, /value.*undefined/],
        [{}, /value.*object/],
      ] as const) {
        const error = await failure(() => producer.send({ topic: 'any', value: wrong as unknown as string }), 1_000)
        assert.match(error.message, said)
      }
      const key = await failure(() => producer.send({ topic: 'any', key: 1 as unknown as string, value: 'v' }), 1_000)
      assert.match(key.message, /key.*number/)
      await producer.close()
    })

    test('a topic that exists already', async () => {
      const topic = unique('twice')
      await created(kafka.admin(), [{ topic, partitions: 1 }])
      const error = await failure(() => kafka.admin().createTopics([{ topic, partitions: 1 }]), 60_000)
      assert.equal(error.code, 'TOPIC_ALREADY_EXISTS')
      assert.match(error.message, new RegExp(topic))
    })

    test('an option out of its range names option, value and range', () => {
      assert.throws(() => kafka.producer({ lingerMs: -5 }), /linger(\.ms|Ms).*-5/)
      assert.throws(() => kafka.producer({ acks: 1, enableIdempotence: true }), /idempotence/i)
      assert.throws(() => new Kafka({ brokers: '' }), /brokers|bootstrap/)
    })
  })
}
