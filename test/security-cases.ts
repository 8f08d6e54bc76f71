/**
 * TLS and SASL: every kind of listener, and what a program is told when it is not let in. `security.test.ts` runs these cases against
 * the embedded broker, `integration/security.test.ts` against a real Apache Kafka.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { type ClientOptions, InvalidConfigurationError, Kafka, type KafkaError } from 'dohle'
import { Authority, unsecuredToken } from '../scripts/kafka-secure.mjs'
import { busyWhile } from './busy.ts'
import { unique } from './support.ts'

/** A server with the listeners of `scripts/kafka-secure.mjs`. */
export interface Secured {
  /** The authority's certificate. */
  readonly ca: string
  /** What issues certificates. */
  readonly authority: Authority
  /** A certificate that the listener MTLS accepts, and its key. */
  readonly client: { cert: string; key: string }
  /** Names and passwords. */
  readonly users: Record<string, string>
  /** `host:port` of each listener. */
  readonly address: Record<string, string>
  /** The plain listener's. */
  readonly bootstrap: string
  stop(): Promise<void>
}

/** The cases, against what `start` starts with further properties. */
export function securityCases(name: string, start: (properties: Record<string, string>) => Promise<Secured>): void {
  describe(name, () => {
    let server: Secured
    let dir: string

    before(async () => {
      server = await start({
        'connections.max.reauth.ms': '3000',
        'delegation.token.secret.key': 'a secret of this test',
      })
      dir = mkdtempSync(join(tmpdir(), 'dohle-security-'))
    })

    after(async () => {
      await server?.stop()
      rmSync(dir, { recursive: true, force: true })
    })

    const alice = () => ({ username: 'alice', password: server.users.alice })

    /** Writes and reads a record back. */
    async function roundTrip(options: Omit<ClientOptions, 'brokers'>, listener: string): Promise<void> {
      await using kafka = new Kafka({ brokers: server.address[listener]!, ...options })
      const topic = unique('secure')
      await using producer = kafka.producer({ lingerMs: 0 })
      await producer.send({ topic, value: 'a' })
      await producer.sendBatch({ topic, messages: [{ value: 'b'.repeat(300_000) }, { value: 'c' }] })
      await using consumer = kafka.consumer({ groupId: topic, autoOffsetReset: 'earliest' })
      await consumer.subscribe(topic)
      const lengths: number[] = []
      for await (const message of consumer) {
        lengths.push(message.value!.length)
        if (lengths.length === 3) break
      }
      assert.deepEqual(
        lengths.sort((a, b) => a - b),
        [1, 1, 300_000],
      )
    }

    /** The error that everything a program may begin with gives, soon. */
    async function refused(
      options: Omit<ClientOptions, 'brokers'>,
      listener: string,
      code: string,
    ): Promise<KafkaError> {
      await using kafka = new Kafka({ brokers: server.address[listener]!, ...options })
      const topic = unique('refused')
      const producer = kafka.producer()
      const consumer = kafka.consumer({ groupId: topic })
      await consumer.subscribe(topic)
      const outcomes = await Promise.allSettled([
        producer.send({ topic, value: 'a' }),
        consumer[Symbol.asyncIterator]().next(),
        kafka.admin().listTopics(),
      ])
      for (const outcome of outcomes) {
        assert.equal(outcome.status, 'rejected')
        assert.equal(outcome.reason.code, code, inspect(outcome.reason))
        assert.equal(outcome.reason.retriable, false)
      }
      await producer.close({ timeout: 0 }).catch(() => {})
      const error = (outcomes[0] as PromiseRejectedResult).reason as KafkaError
      assert.ok(error instanceof InvalidConfigurationError)
      return error
    }

    test('records go there and back through TLS, by the name and by the address of the broker', async () => {
      await roundTrip({ tls: { ca: server.ca } }, 'SSL')
      await roundTrip({ tls: { ca: Buffer.from(server.ca), serverName: 'localhost' } }, 'SSL')
    })

    test("Kafka's own names of the options do the same", async () => {
      const given = { 'security.protocol': 'SSL', 'ssl.ca.location': server.authority.path('ca.pem') }
      await roundTrip(given as object, 'SSL')
    })

    test('a client certificate is shown where one is required, its key plain or encrypted, of each form', async () => {
      const { cert, key } = server.client
      await roundTrip({ tls: { ca: server.ca, cert, key } }, 'MTLS')
      const keyFile = server.authority.path('client.key')
      const openssl = (...args: string[]) =>
        execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      const encrypted = openssl('pkcs8', '-topk8', '-in', keyFile, '-passout', 'pass:open sesame')
      await roundTrip({ tls: { ca: server.ca, cert, key: encrypted, passphrase: 'open sesame' } }, 'MTLS')
      const pkcs1 = openssl('rsa', '-traditional', '-in', keyFile)
      assert.match(pkcs1, /BEGIN RSA PRIVATE KEY/)
      await roundTrip({ tls: { ca: server.ca, cert, key: pkcs1 } }, 'MTLS')
    })

    for (const mechanism of ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const) {
      test(`${mechanism} lets the user in`, async () => {
        await roundTrip({ tls: { ca: server.ca }, sasl: { mechanism, ...alice() } }, 'SASL_SSL')
        await roundTrip({ sasl: { mechanism, ...alice(), withoutTls: true } }, 'SASL_PLAINTEXT')
      })

      test(`${mechanism} with a wrong password is told at once, everywhere`, async () => {
        const sasl = { mechanism, username: 'alice', password: 'hunter2', withoutTls: true }
        const error = await refused({ sasl }, 'SASL_PLAINTEXT', 'SASL_AUTHENTICATION_FAILED')
        assert.match(error.message, new RegExp(`'alice' \\(${mechanism}\\)`))
        assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /hunter2/)
      })
    }

    test('OAUTHBEARER takes tokens of a function, and asks it for new ones before they end', async () => {
      let asked = 0
      const token = async () => {
        asked++
        return { value: unsecuredToken('alice', 4_000) }
      }
      await using kafka = new Kafka({
        brokers: server.address.SASL_PLAINTEXT!,
        sasl: { mechanism: 'OAUTHBEARER', token, withoutTls: true },
      })
      // Longer than two tokens and two sessions live.
      await busyWhile(kafka, () => asked < 4)
    })

    test('sessions are renewed on the same connections', async () => {
      await using kafka = new Kafka({
        brokers: server.address.SASL_PLAINTEXT!,
        sasl: { mechanism: 'SCRAM-SHA-512', ...alice() },
      })
      const topic = unique('sessions')
      await using producer = kafka.producer()
      const end = Date.now() + 8_000
      let count = 0
      for (; Date.now() < end; count++) {
        const { offset } = await producer.send({ topic, partition: 0, value: `${count}` })
        assert.equal(offset, count)
        await sleep(10)
      }
    })

    test('a token function that fails, or gives what is no token, is told', async () => {
      const failing = [
        [() => Promise.reject(new Error('the token service is down')), /the token service is down/],
        [() => ({ value: 'two words' }), /no token has/],
        [() => 17 as unknown as string, /a number, not a token/],
      ] as const
      for (const [token, message] of failing) {
        await using kafka = new Kafka({
          brokers: server.address.SASL_PLAINTEXT!,
          sasl: { mechanism: 'OAUTHBEARER', token, withoutTls: true },
        })
        await assert.rejects(kafka.admin().listTopics(), { code: 'CALLBACK_FAILED', message })
      }
    })

    test('a token that the broker does not believe is told', async () => {
      const sasl = { mechanism: 'OAUTHBEARER', token: 'no-jwt', withoutTls: true } as const
      const error = await refused({ sasl }, 'SASL_PLAINTEXT', 'SASL_AUTHENTICATION_FAILED')
      assert.doesNotMatch(error.message, /no-jwt/)
    })

    test('credentials of AWS come of a function, and are asked for by both mechanisms', async () => {
      let asked = 0
      const awsCredentials = async () => {
        asked++
        return { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'hunter2', expiration: new Date(Date.now() + 600_000) }
      }
      const aws = { awsCredentials, awsRegion: 'eu-west-1', withoutTls: true }
      const missing = await refused(
        { sasl: { mechanism: 'AWS_MSK_IAM', ...aws } },
        'SASL_PLAINTEXT',
        'UNSUPPORTED_SASL_MECHANISM',
      )
      assert.match(missing.message, /does not offer sasl.mechanism AWS_MSK_IAM here, but .*PLAIN/)
      assert.ok(asked > 0)
      asked = 0
      await refused({ sasl: { mechanism: 'OAUTHBEARER', ...aws } }, 'SASL_PLAINTEXT', 'SASL_AUTHENTICATION_FAILED')
      assert.ok(asked > 0)
    })

    test('a function of credentials that fails, or gives what are none, is told', async () => {
      const failing = [
        [
          () => Promise.reject(new Error('no profile of that name')),
          /no credentials for AWS_MSK_IAM: .*no profile of that name/,
        ],
        [() => ({ accessKeyId: 'a' }), /is not \{ accessKeyId, secretAccessKey/],
        [() => 'hunter2', /a string, not credentials/],
        [() => ({ accessKeyId: 'a', secretAccessKey: 'hunter2', expiration: new Date(0) }), /no moment since 1970/],
        [
          () => ({ accessKeyId: 'a', secretAccessKey: 'hunter2', expiration: new Date(Date.now() - 60_000) }),
          /have expired/,
        ],
      ] as const
      for (const [awsCredentials, message] of failing) {
        const sasl = { mechanism: 'AWS_MSK_IAM', awsCredentials, awsRegion: 'eu-west-1', withoutTls: true }
        await using kafka = new Kafka({ brokers: server.address.SASL_PLAINTEXT!, sasl: sasl as ClientOptions['sasl'] })
        const error = await kafka
          .admin()
          .listTopics()
          .then(
            () => assert.fail('it was let in'),
            error => error,
          )
        assert.equal(error.code, 'CALLBACK_FAILED')
        assert.match(error.message, message)
        assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /hunter2/)
      }
    })

    test('each send is told at once that nobody is let in, not only the first', async () => {
      const sasl = { mechanism: 'SCRAM-SHA-512', username: 'alice', password: 'a wrong one' } as const
      await using kafka = new Kafka({ brokers: server.address.SASL_PLAINTEXT!, sasl })
      await using producer = kafka.producer()
      for (let turn = 0; turn < 3; turn++) {
        await assert.rejects(producer.send({ topic: 'refused', value: 'v' }), { code: 'SASL_AUTHENTICATION_FAILED' })
      }
    })

    test('what is wrong with certificates is told in words that help', async () => {
      const other = await new Authority(join(dir, 'other'), 'other').make()
      const strangers = await other.issue('stranger')
      const refusal = async (tls: ClientOptions['tls'], listener: string, message: RegExp) => {
        const error = await refused({ tls }, listener, 'TLS_HANDSHAKE_FAILED')
        assert.match(error.message, message)
      }
      await refusal({ ca: other.read('other.pem') }, 'SSL', /authority that is not trusted.*tls\.ca/)
      await refusal(
        { ca: server.ca, serverName: 'kafka.example' },
        'SSL',
        /not for 'kafka.example', but for localhost, 127.0.0.1/,
      )
      await refusal({ ca: server.ca }, 'MTLS', /client certificate.*tls\.cert/)
      await refusal({ ca: server.ca, ...strangers }, 'MTLS', /client('s)? certificate/)
    })

    test('TLS and plain listeners that are mistaken for each other are named', async () => {
      const told = async (options: Omit<ClientOptions, 'brokers'>, brokers: string, message: RegExp) => {
        await using kafka = new Kafka({ brokers, defaultApiTimeoutMs: 3_000, ...options })
        await assert.rejects(kafka.admin().listTopics(), { message })
      }
      await told({ tls: { ca: server.ca } }, server.bootstrap, /a listener without TLS does this/)
      await told({}, server.address.SSL!, /TLS/)
      await told({}, server.address.SASL_PLAINTEXT!, /wants SASL does this/)
      const sasl = { mechanism: 'SCRAM-SHA-256', ...alice() } as const
      await told({ sasl }, server.bootstrap, /leave sasl out/)
    })

    test('a certificate that is exchanged on disk is used by the next connection', async () => {
      const ca = join(dir, 'ca.pem')
      const other = await new Authority(join(dir, 'another'), 'another').make()
      writeFileSync(ca, other.read('another.pem'))
      await using kafka = new Kafka({ brokers: server.address.SSL!, tls: { caFile: ca } })
      await assert.rejects(kafka.admin().listTopics(), { code: 'TLS_HANDSHAKE_FAILED' })
      writeFileSync(ca, `# exchanged\n${server.ca}`)
      await kafka.admin().listTopics()
    })

    test('members of tls and sasl are named as they were given, and no value of theirs is shown', () => {
      const brokers = 'localhost:1'
      const said = (options: object) => {
        try {
          new Kafka({ brokers, ...options })
        } catch (error) {
          assert.ok(error instanceof InvalidConfigurationError)
          assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /hunter2/)
          return error.message
        }
        return 'nothing'
      }
      assert.match(said({ tls: { verify: 'perhaps' } }), /^tls\.verify: /)
      assert.match(said({ tls: { certt: 'hunter2' } }), /^tls\.certt: .*did you mean tls\.cert\?/)
      assert.match(said({ tls: false, ssl: true }), /tls is/)
      assert.match(said({ tls: { key: 'hunter2', cert: 'hunter2' } }), /^tls\.cert/)
      assert.match(said({ tls: { key: ['hunter2'] } }), /^tls\.key: is not a string/)
      assert.match(said({ tls: 'hunter2' }), /^tls: /)
      assert.match(said({ sasl: { mechanism: 'PLAIN', username: 'a', password: 'hunter2' } }), /withoutTls/)
      assert.match(said({ sasl: { mechanism: 'GSSAPI' } }), /^sasl\.mechanism: GSSAPI \(Kerberos\) is not there yet/)
      assert.match(said({ tls: { ca: new Uint8Array([0xff, 0xfe]) } }), /^tls\.ca: /)
    })

    test('no secret is in anything that a program can print of a client that fails in every way', async () => {
      const canary = () => `canary${randomBytes(12).toString('hex')}`
      const [password, token, passphrase] = [canary(), canary(), canary()]
      const [valid, found] = [server.users.alice!, join(dir, 'found')]
      const keyFile = server.authority.path('client.key')
      const args = ['pkcs8', '-topk8', '-in', keyFile, '-passout', 'pass:another one']
      const key = execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      const address = JSON.stringify({ ...server.address, PLAINTEXT: server.bootstrap })
      const program = fileURLToPath(new URL('integration/secrets-run.ts', import.meta.url))
      const child = spawn(process.execPath, ['--import=tsx', program], {
        env: {
          ...process.env,
          RUST_LOG: 'trace',
          DOHLE_LOG: 'trace',
          SECRETS: JSON.stringify({ password, token, passphrase, key, address, ca: server.ca, valid, found }),
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let printed = ''
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', text => (printed += text))
      await once(child, 'close')
      assert.match(printed, /^DONE$/m, printed.slice(-2000))
      assert.doesNotMatch(printed, /NOT REFUSED/)
      // It did fail in those ways.
      for (const code of ['SASL_AUTHENTICATION_FAILED', 'CALLBACK_FAILED', 'ILLEGAL_SASL_STATE', 'INVALID_CONFIG']) {
        assert.match(printed, new RegExp(code))
      }
      const lines = key.split('\n').filter(line => line.length > 40 && !line.startsWith('-'))
      assert.ok(lines.length > 10)
      // The secret of a delegation token, which is bytes, and the password that it is.
      const hmac = readFileSync(found)
      assert.equal(hmac.length, 64)
      for (const secret of [password, token, passphrase, valid, hmac, hmac.toString('base64'), ...lines]) {
        const bytes = Buffer.from(secret)
        const base64 = bytes.toString('base64').replace(/=+$/, '').slice(0, -1)
        const spaced = bytes
          .toString('hex')
          .replace(/..(?!$)/g, '$& ')
          .slice(0, 90)
        const forms = [base64, bytes.toString('hex'), spaced, [...bytes].join(', '), [...bytes].join(',')]
        if (typeof secret === 'string') forms.push(secret)
        for (const form of forms) assert.ok(!printed.includes(form), `${form} was printed`)
      }
    })
  })
}
