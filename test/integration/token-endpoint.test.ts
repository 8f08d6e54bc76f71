/** OAUTHBEARER with tokens of a token endpoint, towards a real Apache Kafka that verifies their signatures. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { InvalidConfigurationError, Kafka, type KafkaError, type SaslOptions } from 'dohle'
import { Authority, SecureKafka } from '../../scripts/kafka-secure.mjs'
import { busyWhile } from '../busy.ts'
import { TokenService, voucher } from './token-service.ts'

let server: SecureKafka
let service: TokenService
let authority: Authority
let dir: string
const secret = `canary${randomBytes(12).toString('hex')}`

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'dohle-tokens-'))
  authority = await new Authority(join(dir, 'service')).make()
  service = await new TokenService(await authority.issue('service', ['DNS:localhost'])).start()
  service.clients.orders = secret
  server = await SecureKafka.start({ jwks: service.jwks, properties: { 'connections.max.reauth.ms': 3000 } })
})

after(async () => {
  await server?.stop()
  await service?.stop()
  rmSync(dir, { recursive: true, force: true })
})

beforeEach(() => {
  service.asked.length = 0
  service.failures.length = 0
  service.given = 0
  service.lifetimeMs = 60_000
  service.audience = 'kafka'
})

function client(sasl: Partial<SaslOptions>, requestTimeoutMs = 30_000): Kafka {
  const endpoint = { tokenEndpointUrl: service.url, tokenEndpointCa: authority.read('ca.pem') }
  return new Kafka({
    brokers: server.address.OIDC!,
    tls: { ca: server.ca },
    sasl: { mechanism: 'OAUTHBEARER', ...endpoint, ...sasl },
    requestTimeoutMs,
  })
}

const byCredentials = () => ({ clientId: 'orders', clientSecret: secret })

/** The error that a program gets which may not in. */
async function refusal(sasl: Partial<SaslOptions>): Promise<KafkaError> {
  await using kafka = client(sasl)
  const error: KafkaError = await kafka
    .admin()
    .listTopics()
    .then(
      () => assert.fail('it was let in'),
      error => error,
    )
  assert.ok(error instanceof InvalidConfigurationError && !error.retriable, inspect(error))
  assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes(secret))
  return error
}

test('client credentials let a program in, and tokens and sessions are renewed while it works', async () => {
  service.lifetimeMs = 4_000
  await using kafka = client({ ...byCredentials(), scope: 'kafka' })
  // Longer than three tokens live; once, the service is away when a new one is due.
  let isAway = false
  await busyWhile(kafka, () => {
    if (service.given === 2 && !isAway) {
      isAway = true
      service.failures.push(503)
    }
    return service.given < 4
  })
  assert.equal(service.asked[0]!.form.grant_type, 'client_credentials')
  assert.equal(service.asked[0]!.form.scope, 'kafka')
  assert.equal(service.asked.length, service.given + 1, 'all tokens, and the one that did not come')
})

test('a service that is away at first is asked again', async () => {
  service.failures.push(503, 502, 429)
  await using kafka = client(byCredentials())
  await kafka.admin().listTopics()
  assert.equal(service.asked.length, 4)
})

test('an assertion that is signed here is the grant, with a key of RSA or an encrypted one of ECDSA', async () => {
  for (const [kind, algorithm, passphrase] of [
    ['rsa', 'RS256', undefined],
    ['ec', 'ES256', 'open sesame'],
  ] as const) {
    const { key, publicKey } = voucher(kind, passphrase)
    service.vouchers[kind] = publicKey
    await using kafka = client({
      assertionKey: key,
      assertionPassphrase: passphrase,
      assertionAlgorithm: algorithm,
      assertionKeyId: kind,
      assertionIssuer: 'the tests',
      assertionSubject: 'orders',
    })
    await kafka.admin().listTopics()
    assert.equal(service.asked.at(-1)!.form.grant_type, 'urn:ietf:params:oauth:grant-type:jwt-bearer')
  }
})

test('an assertion of a file is read for each token, and stands in the place of the secret', async () => {
  const { key, publicKey } = voucher('rsa')
  service.vouchers.workload = publicKey
  // Made by the engine too, but shown from a file: what is in it is not looked at.
  await using maker = client({ assertionKey: key, assertionKeyId: 'workload', clientId: 'orders' })
  await maker.admin().listTopics()
  const good = service.asked.at(-1)!.form.assertion!
  const assertionFile = join(dir, 'assertion')
  writeFileSync(assertionFile, `${good}\n`)
  service.lifetimeMs = 3_000
  await using kafka = client({ assertionFile, clientId: 'orders', grantType: 'client_credentials' })
  await kafka.admin().listTopics()
  const { form, headers } = service.asked.at(-1)!
  assert.equal(form.grant_type, 'client_credentials')
  assert.equal(form.client_assertion_type, 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
  assert.equal(form.client_id, 'orders')
  assert.equal(headers.authorization, undefined)
  // The next token is asked for with what the file has by then.
  writeFileSync(assertionFile, 'e30.e30.another\n')
  while (service.asked.at(-1)!.form.client_assertion === good) {
    await kafka
      .admin()
      .listTopics()
      .catch(() => {})
    await sleep(50)
  }
  assert.equal(service.asked.at(-1)!.form.client_assertion, 'e30.e30.another')
})

test('a client that the service does not know is told, and a service that is not trusted gets nothing', async () => {
  const wrong = await refusal({ clientId: 'orders', clientSecret: `${secret}x` })
  assert.equal(wrong.code, 'SASL_AUTHENTICATION_FAILED')
  assert.match(wrong.message, /https:\/\/localhost:\d+\/token \(client 'orders'\): refused .*401.*invalid_client/)
  const asked = service.asked.length
  const other = await new Authority(join(dir, 'other'), 'other').make()
  // Of another name, which is an unknown issuer; and of the same name with another key, which is a bad signature.
  const twin = await new Authority(join(dir, 'twin')).make()
  for (const tokenEndpointCa of [other.read('other.pem'), twin.read('ca.pem')]) {
    const untrusted = await refusal({ ...byCredentials(), tokenEndpointCa })
    assert.equal(untrusted.code, 'TLS_HANDSHAKE_FAILED')
    assert.match(untrusted.message, /sasl\.tokenEndpointCa .* gives its authority/)
  }
  const misnamed = await refusal({
    ...byCredentials(),
    tokenEndpointUrl: service.url.replace('localhost', '127.0.0.1'),
  })
  assert.equal(misnamed.code, 'TLS_HANDSHAKE_FAILED')
  assert.equal(service.asked.length, asked)
})

test('a token that the broker does not believe is told', async () => {
  service.audience = 'somebody else'
  const error = await refusal(byCredentials())
  assert.equal(error.code, 'SASL_AUTHENTICATION_FAILED')
  assert.match(error.message, /the broker refused the token/)
})
