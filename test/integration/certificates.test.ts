/** Certificates that change while a client runs, that are their own authority, or that nobody vouches for: against a real Apache Kafka. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createServer, type Server } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { type ClientOptions, InvalidConfigurationError, Kafka, type KafkaError } from 'dohle'
import { Authority, SecureKafka } from '../../scripts/kafka-secure.mjs'
import { unique } from './servers.ts'

type Tls = NonNullable<ClientOptions['tls']>

describe('certificates of clients and brokers', () => {
  let server: SecureKafka
  let dir: string
  let expired: { cert: string; key: string }

  before(async () => {
    server = await SecureKafka.start()
    dir = mkdtempSync(join(tmpdir(), 'dohle-certificates-'))
    expired = await server.authority.issueExpired('expired')
  })

  after(async () => {
    await server?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const client = (listener: string, tls: Tls) => new Kafka({ brokers: server.address[listener]!, tls })
  const use = (kafka: Kafka) => kafka.admin().listTopics()
  const isRefused = { code: 'TLS_HANDSHAKE_FAILED', message: /certificate/ }

  test('a client certificate that has expired is replaced on disk, and the next connection shows the new one', async () => {
    const [certFile, keyFile] = [join(dir, 'client.pem'), join(dir, 'client.key')]
    writeFileSync(certFile, expired.cert)
    writeFileSync(keyFile, expired.key)
    await using kafka = client('MTLS', { ca: server.ca, certFile, keyFile })
    await assert.rejects(use(kafka), isRefused)
    // Between the two writes the pair does not fit: the old one is still shown.
    writeFileSync(certFile, server.client.cert)
    await assert.rejects(use(kafka), isRefused)
    writeFileSync(keyFile, server.client.key)
    await use(kafka)
    await producesAndReads(kafka)
  })

  async function producesAndReads(kafka: Kafka): Promise<void> {
    const topic = unique('certificates')
    await using producer = kafka.producer()
    await producer.send({ topic, value: 'a' })
    await using consumer = kafka.consumer({ groupId: topic, autoOffsetReset: 'earliest' })
    await consumer.subscribe(topic)
    for await (const message of consumer) {
      assert.equal(message.text(), 'a')
      break
    }
  }

  test('a client certificate that has expired is replaced by a call, as is the authority', async () => {
    const other = await new Authority(join(dir, 'other'), 'other').make()
    await using kafka = client('MTLS', { ca: other.read('other.pem'), ...expired })
    await assert.rejects(use(kafka), { code: 'TLS_HANDSHAKE_FAILED', message: /authority that is not trusted/ })
    await kafka.setTls({ ca: server.ca })
    await assert.rejects(use(kafka), { code: 'TLS_HANDSHAKE_FAILED', message: /client('s)? certificate/ })
    const keyFile = server.authority.path('client.key')
    const args = ['pkcs8', '-topk8', '-in', keyFile, '-passout', 'pass:open sesame']
    const key = execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] })
    await kafka.setTls({ cert: Buffer.from(server.client.cert), key, passphrase: 'open sesame' })
    await producesAndReads(kafka)
  })

  test('what cannot be used is refused, and what was there stays', async () => {
    await using kafka = client('MTLS', { ca: server.ca, ...server.client })
    const refused = async (material: object, message: RegExp) => {
      await assert.rejects(kafka.setTls(material), (error: KafkaError) => {
        assert.ok(error instanceof InvalidConfigurationError, inspect(error))
        assert.match(error.message, message)
        assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /hunter2|MII/)
        return true
      })
    }
    await refused({ cert: expired.cert, key: server.client.key }, /tls\.cert .*not that of the certificate/)
    await refused({ cert: expired.cert }, /tls\.cert .*needs its private key/)
    await refused({ key: 'hunter2' }, /tls\.key .*needs its certificate/)
    await refused({ cert: server.client.cert, key: 'hunter2' }, /tls\.key .*no private key/)
    await refused({ ca: 'hunter2' }, /tls\.ca .*no certificate/)
    await refused({ passphrase: 'hunter2' }, /tls\.passphrase .*no key/)
    await refused({ certt: 'hunter2' }, /certt.*not an option/)
    await refused({ ca: 17 }, /ca/)
    await refused({ ca: new Uint8Array([0xff]) }, /ca: is bytes that are no text/)
    await refused('hunter2' as unknown as object, /material: /)
    await use(kafka)
    await using plain = new Kafka({ brokers: server.kafka.bootstrap })
    await assert.rejects(plain.setTls({ ca: server.ca }), /without TLS/)
  })

  test('connections that are open live on when certificates are exchanged', async () => {
    await using kafka = client('MTLS', { ca: server.ca, ...server.client })
    await using producer = kafka.producer()
    const topic = unique('living')
    await producer.send({ topic, partition: 0, value: '0' })
    await kafka.setTls(expired)
    const { offset } = await producer.send({ topic, partition: 0, value: '1' })
    assert.equal(offset, 1)
  })

  test("a broker's certificate that is its own authority is taken when it is trusted itself, for its names only", async () => {
    const own = server.authority.read('self.pem')
    {
      await using kafka = client('SELF_SIGNED', { ca: own })
      await producesAndReads(kafka)
    }
    const refused = async (tls: Tls, message: RegExp) => {
      await using kafka = client('SELF_SIGNED', tls)
      await assert.rejects(use(kafka), { code: 'TLS_HANDSHAKE_FAILED', message })
    }
    await refused({ ca: server.ca }, /made itself.*give that very certificate as tls\.ca/)
    await refused({ ca: own, serverName: 'kafka.example' }, /not for 'kafka.example', but for localhost, 127.0.0.1/)
    // The same names, another key.
    const another = await new Authority(join(dir, 'another')).selfSigned('self', ['DNS:localhost', 'IP:127.0.0.1'])
    await refused({ ca: another.cert }, /made itself/)
    await using anyName = client('SELF_SIGNED', {
      ca: own,
      serverName: 'kafka.example',
      endpointIdentification: 'none',
    })
    await use(anyName)
  })

  /** What a client says of a server that shows a certificate. */
  async function told({ cert, key }: { cert: string; key: string }, ca: string): Promise<string> {
    const shown: Server = createServer({ cert, key }).listen(0, '127.0.0.1')
    shown.on('tlsClientError', () => {})
    await new Promise(resolve => shown.once('listening', resolve))
    const { port } = shown.address() as { port: number }
    await using kafka = new Kafka({ brokers: `127.0.0.1:${port}`, tls: { ca } })
    const error = await use(kafka).then(
      () => assert.fail('it was taken'),
      (error: KafkaError) => error,
    )
    shown.close()
    assert.equal(error.code, 'TLS_HANDSHAKE_FAILED')
    return error.message
  }

  /** A certificate for 127.0.0.1 by openssl's `x509 -req`. */
  function signed(name: string, days: string, extensions: string[]): { cert: string; key: string } {
    const at = (ending: string) => join(dir, `${name}.${ending}`)
    const openssl = (...args: string[]) => execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' })
    writeFileSync(at('cnf'), '[req]\ndistinguished_name=dn\n[dn]\n')
    const asked = ['req', '-new', '-config', at('cnf'), '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=127.0.0.1']
    openssl(...asked, '-keyout', at('key'), '-out', at('csr'))
    writeFileSync(at('ext'), extensions.join('\n'))
    const more = extensions.length > 0 ? ['-extfile', at('ext')] : []
    const cert = openssl('x509', '-req', '-in', at('csr'), '-signkey', at('key'), '-days', days, ...more)
    return { cert, key: readFileSync(at('key'), 'utf8') }
  }

  test("a broker's certificate that is its own authority must be within its time", async () => {
    const old = signed('old', '-1', ['basicConstraints=critical,CA:TRUE', 'subjectAltName=IP:127.0.0.1'])
    assert.match(await told(old, old.cert), /has expired/)
  })

  test("a broker's certificate of an old form, which says no names, is named", async () => {
    const old = signed('v1', '3', [])
    assert.match(await told(old, server.ca), /old form .*subjectAltName/)
  })

  test('a machine without authorities of its own says what to do, and needs none when they are given', () => {
    const file = join(dir, 'empty.pem')
    writeFileSync(file, '')
    const program = `
      import { Kafka } from 'dohle'
      const ca = process.env.CA
      const kafka = new Kafka({ brokers: '${server.address.SSL}', tls: ca ? { ca } : true })
      const failed = error => console.log(error.constructor.name, error.retriable, error.message)
      await kafka.admin().listTopics().then(() => console.log('TAKEN'), failed)
      await kafka.close()`
    const run = (env: Record<string, string>) =>
      execFileSync(process.execPath, ['--input-type=module', '--import=tsx', '-e', program], {
        encoding: 'utf8',
        cwd: fileURLToPath(new URL('../..', import.meta.url)),
        env: { ...process.env, ...env },
      })
    const none = { SSL_CERT_DIR: join(dir, 'nowhere') }
    for (const place of [join(dir, 'no.pem'), file]) {
      const told = run({ ...none, SSL_CERT_FILE: place })
      assert.match(told, /^InvalidConfigurationError false .*no certificates of authorities/)
      assert.match(told, /ca-certificates.*SSL_CERT_FILE.*tls\.ca/)
    }
    assert.match(run({ ...none, SSL_CERT_FILE: file, CA: server.ca }), /^TAKEN/)
    // As OpenSSL has it.
    assert.match(run({ SSL_CERT_FILE: server.authority.path('ca.pem') }), /^TAKEN/)
  })
})
