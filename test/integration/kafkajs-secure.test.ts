/** kafkajs 2.2.4 and `dohle/kafkajs` against a real Apache Kafka and the embedded broker with TLS and SASL: who gets in, and what the others are told. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type * as ours from 'dohle/kafkajs'
import { Authority, SecureKafka, unsecuredToken } from '../../scripts/kafka-secure.mjs'
import { SecureBroker } from '../secure-broker.ts'
import { both, failure, type Library } from './kafkajs-both.ts'
import { unique } from './servers.ts'

type Config = Pick<ours.KafkaConfig, 'ssl' | 'sasl'>

const servers: readonly (readonly [name: string, start: () => Promise<SecureKafka | SecureBroker>])[] = [
  ['Apache Kafka', () => SecureKafka.start()],
  ['the embedded broker', () => SecureBroker.start()],
]

for (const [name, start] of servers)
  describe(`dohle/kafkajs and kafkajs on secured listeners of ${name}`, () => {
    let server: SecureKafka | SecureBroker
    let dir: string

    before(async () => {
      server = await start()
      dir = mkdtempSync(join(tmpdir(), 'dohle-kafkajs-'))
      // kafkajs gives up on a coordinator that has just been made.
      await roundTrip(client(both['dohle/kafkajs'], 'SSL', { ssl: { ca: server.ca } }))
    })

    after(async () => {
      await server?.stop()
      rmSync(dir, { recursive: true, force: true })
    })

    function client({ Kafka, logLevel }: Library, listener: string, config: Config, retries = 20): ours.Kafka {
      const patience = { retry: { retries, initialRetryTime: 50 }, connectionTimeout: 10_000 }
      const brokers = [server.address[listener]!]
      return new Kafka({ clientId: 'secure', brokers, logLevel: logLevel.NOTHING, ...patience, ...config })
    }

    /** Writes and reads a record back. */
    async function roundTrip(kafka: ours.Kafka): Promise<unknown> {
      const topic = unique('secure')
      const admin = kafka.admin()
      await admin.connect()
      await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: false })
      await admin.disconnect()
      const producer = kafka.producer()
      await producer.connect()
      const [sent] = await producer.send({ topic, messages: [{ key: 'k', value: 'v' }] })
      await producer.disconnect()
      const consumer = kafka.consumer({ groupId: topic })
      await consumer.connect()
      await consumer.subscribe({ topic, fromBeginning: true })
      const read = await new Promise((resolve, reject) => {
        consumer.on('consumer.crash', ({ payload }) => reject(payload.error))
        consumer
          .run({ eachMessage: async ({ message }) => resolve([`${message.key}`, `${message.value}`, message.offset]) })
          .catch(reject)
      })
      await consumer.disconnect()
      return { read, sent: [sent?.partition, sent?.errorCode, sent?.baseOffset] }
    }

    async function lets(listener: string, config: Config): Promise<void> {
      const got = { read: ['k', 'v', '0'], sent: [0, 0, '0'] }
      for (const [name, library] of Object.entries(both)) {
        assert.deepEqual(await roundTrip(client(library, listener, config)), got, name)
      }
    }

    /** What `connect` of each kind of client fails with. */
    async function refusals(library: Library, listener: string, config: Config): Promise<object[]> {
      const made = client(library, listener, config, 1)
      const all = [made.producer(), made.consumer({ groupId: unique('secure') }), made.admin()]
      const outcomes: object[] = []
      for (const one of all) {
        outcomes.push(await failure(() => one.connect()))
        await one.disconnect().catch(() => {})
      }
      return outcomes
    }

    async function refuses(listener: string, config: Config, name: string): Promise<void> {
      const [theirs, our] = [
        await refusals(both.kafkajs, listener, config),
        await refusals(both['dohle/kafkajs'], listener, config),
      ]
      for (const outcome of theirs) assert.equal((outcome as Error).name, name)
      assert.deepEqual(our, theirs)
    }

    test('ssl with an authority, as text, bytes or several of them', async () => {
      await lets('SSL', { ssl: { ca: server.ca } })
      await lets('SSL', { ssl: { ca: [Buffer.from(server.client.cert), Buffer.from(server.ca)] } })
      await lets('SSL', { ssl: { ca: [server.ca], servername: 'localhost' } })
    })

    test('ssl with a client certificate, its key plain or encrypted', async () => {
      const { cert, key } = server.client
      await lets('MTLS', { ssl: { ca: server.ca, cert, key } })
      await lets('MTLS', { ssl: { ca: [server.ca], cert: [cert], key: Buffer.from(key) } as Config['ssl'] & object })
    })

    test('ssl that verifies nobody', async () => {
      await lets('SSL', { ssl: { rejectUnauthorized: false } })
      await lets('SELF_SIGNED', { ssl: { rejectUnauthorized: false, servername: 'kafka.example' } })
    })

    test("ssl with the broker's own certificate as authority", async () => {
      await lets('SELF_SIGNED', { ssl: { ca: server.authority.read('self.pem') } })
    })

    const [username, password] = ['alice', 'secret-of-alice']
    const oauthBearerProvider = async () => ({ value: unsecuredToken('alice', 600_000) })
    for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512'] as const) {
      test(`sasl ${mechanism}`, async () => {
        const sasl = { mechanism, username, password } as ours.SASLOptions
        await lets('SASL_SSL', { ssl: { ca: server.ca }, sasl })
        await lets('SASL_PLAINTEXT', { ssl: false, sasl })
      })

      test(`sasl ${mechanism} with a wrong password`, async () => {
        const sasl = { mechanism, username, password: 'hunter2' } as ours.SASLOptions
        await refuses('SASL_SSL', { ssl: { ca: server.ca }, sasl }, 'KafkaJSSASLAuthenticationError')
      })
    }

    test('sasl oauthbearer', async () => {
      await lets('SASL_SSL', { ssl: { ca: server.ca }, sasl: { mechanism: 'oauthbearer', oauthBearerProvider } })
      await lets('SASL_PLAINTEXT', { ssl: false, sasl: { mechanism: 'oauthbearer', oauthBearerProvider } })
    })

    test('sasl oauthbearer with a token that the broker does not believe, and without one', async () => {
      const ssl = { ca: server.ca }
      const bad = async () => ({ value: 'no-jwt' })
      const name = 'KafkaJSSASLAuthenticationError'
      // kafkajs 2.2.4 does not see the broker's refusal, and its connection is closed at the first request.
      const config = { ssl, sasl: { mechanism: 'oauthbearer' as const, oauthBearerProvider: bad } }
      const told = (await refusals(both['dohle/kafkajs'], 'SASL_SSL', config)) as Error[]
      assert.deepEqual(
        told.map(error => error.name),
        [name, name, name],
      )
      const down = async () => Promise.reject(new Error('the token service is down'))
      for (const library of Object.values(both)) {
        const made = client(library, 'SASL_SSL', { ssl, sasl: { mechanism: 'oauthbearer', oauthBearerProvider: down } })
        await assert.rejects(made.admin().connect(), /the token service is down/)
      }
    })

    test('an authority that is not known, a name that does not fit, a client certificate that is missing', async () => {
      const other = await new Authority(join(dir, 'other'), 'other').make()
      const name = 'KafkaJSNumberOfRetriesExceeded'
      await refuses('SSL', { ssl: { ca: other.read('other.pem') } }, name)
      await refuses('SSL', { ssl: { ca: server.ca, servername: 'kafka.example' } }, name)
      await refuses('MTLS', { ssl: { ca: server.ca } }, name)
      await refuses('SELF_SIGNED', { ssl: { ca: server.ca } }, name)
    })

    test('a mechanism that is not there is refused by name', async () => {
      const aws = {
        mechanism: 'aws',
        authorizationIdentity: 'a',
        accessKeyId: 'b',
        secretAccessKey: 'hunter2',
      } as const
      const { Kafka } = both['dohle/kafkajs']
      const made = () => new Kafka({ brokers: ['localhost:1'], ssl: true, sasl: aws })
      assert.throws(made, {
        name: 'KafkaJSNonRetriableError',
        message: /"aws" shows the secret key .* is not supported; .*AWS_MSK_IAM/,
      })
      assert.throws(made, (error: Error) => !`${error.stack}`.includes('hunter2'))
    })
  })
