/**
 * The program of the canary test in security.test.ts: fails in every way that has to do with a secret, and prints all that a
 * program could print of it. What the test looks for in the output are the secrets in the environment variable SECRETS.
 */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { type ClientOptions, Kafka } from 'dohle'
import { unique } from './servers.ts'

const { password, token, passphrase, key, address, ca, valid, found } = JSON.parse(process.env.SECRETS!) as Record<
  string,
  string
>
const listeners = JSON.parse(address!) as Record<string, string>

function show(what: string, value: unknown): void {
  console.log(what, value)
  console.log(inspect(value, { depth: 20, showHidden: true, getters: true }))
  console.log(JSON.stringify(value), String(value), (value as Error | undefined)?.stack)
}

/** Everything that a program may do first, with options that are taken. */
async function fails(what: string, listener: string, options: object): Promise<void> {
  const told = { logLevel: 'debug', statisticsIntervalMs: 100, onStats: (stats: unknown) => show('statistics', stats) }
  const timeouts = { defaultApiTimeoutMs: 2_000, requestTimeoutMs: 2_000, ...told }
  const given = { brokers: listeners[listener], ...timeouts, ...options } as unknown as ClientOptions
  const kafka = new Kafka(given)
  show(`${what}: client`, kafka)
  const producer = kafka.producer({ maxBlockMs: 2_000, deliveryTimeoutMs: 3_000 })
  const consumer = kafka.consumer({ groupId: unique('canary') })
  consumer.on('retrying', event => show('retrying', event))
  await consumer.subscribe('canary')
  show(`${what}: producer`, producer)
  show(`${what}: consumer`, consumer)
  const outcomes = await Promise.allSettled([
    producer.send({ topic: 'canary', value: 'v' }),
    consumer[Symbol.asyncIterator]().next(),
    kafka.admin().listTopics(),
  ])
  for (const outcome of outcomes) show(what, outcome)
  await Promise.allSettled([kafka.close({ timeout: 500 })])
  show(`${what}: closed`, kafka)
}

/** Options that are refused. */
function refused(what: string, options: object): void {
  try {
    show(what, new Kafka({ brokers: 'localhost:1', ...options } as ClientOptions))
    console.log(`NOT REFUSED: ${what}`)
  } catch (error) {
    show(what, error)
  }
}

/** What admin calls take and give that is a secret; the bytes of a token are left in the file `found`. */
async function administers(): Promise<void> {
  const login = { mechanism: 'SCRAM-SHA-256', username: 'alice', password: valid! } as const
  await using kafka = new Kafka({ brokers: listeners.SASL_PLAINTEXT!, sasl: login, logLevel: 'debug' })
  const admin = kafka.admin()
  const shown = async (what: string, work: Promise<unknown>) => show(what, await work.catch(error => error))
  const user = { user: unique('canary'), mechanism: 'SCRAM-SHA-256', password: password! }
  await shown('user', admin.alterUserScramCredentials([user]))
  await shown('user of an unknown mechanism', admin.alterUserScramCredentials([{ ...user, mechanism: 'SCRAM-MD5' }]))
  await shown('user that hashes too little', admin.alterUserScramCredentials([{ ...user, iterations: 1 }]))
  await shown('user with a slip', admin.alterUserScramCredentials([{ ...user, pasword: password! } as never]))
  await shown(
    'password of a wrong type',
    admin.alterUserScramCredentials([{ ...user, password: [password!] as never }]),
  )
  const made = await admin.createDelegationToken()
  writeFileSync(found!, made.hmac)
  show('token', made)
  await shown('tokens', admin.describeDelegationTokens())
  await shown('renewed', admin.renewDelegationToken(made.hmac))
  await shown('renewed for too long', admin.renewDelegationToken(made.hmac, { periodMs: -2 }))
  const secret = Buffer.from(made.hmac).toString('base64')
  await fails('a token that says not what it is', 'SASL_PLAINTEXT', {
    sasl: { mechanism: 'SCRAM-SHA-256', username: made.tokenId, password: secret },
  })
  await shown('ended', admin.expireDelegationToken(made.hmac))
  await shown('ended twice', admin.expireDelegationToken(made.hmac))
  const sasl = { mechanism: 'SCRAM-SHA-512', username: made.tokenId, password: secret, delegationToken: true }
  await fails('a token that has ended', 'SASL_PLAINTEXT', { sasl })
  refused('a token for PLAIN', { tls: true, sasl: { ...sasl, mechanism: 'PLAIN' } })
}

/** Certificates that a client does not take. */
async function exchanges(): Promise<void> {
  await using kafka = new Kafka({ brokers: listeners.SSL!, tls: { ca: ca! }, logLevel: 'debug' })
  for (const material of [
    { ca: key },
    { cert: ca, key, passphrase },
    { key, passphrase },
    { cert: key, key: passphrase },
  ])
    show('exchanged', await kafka.setTls(material as object).catch(error => error))
}

const sasl = (mechanism: string) => ({ mechanism, username: 'alice', password, withoutTls: true })
for (const mechanism of ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']) {
  await fails(`wrong password, ${mechanism}`, 'SASL_PLAINTEXT', { sasl: sasl(mechanism) })
}
const bearer = (value: unknown) => ({ mechanism: 'OAUTHBEARER', token: value, withoutTls: true })
await fails('wrong token', 'SASL_PLAINTEXT', { sasl: bearer(token) })
await fails('token of a function', 'SASL_PLAINTEXT', {
  sasl: bearer(() => ({ value: token, expiresAt: Date.now() + 1e6 })),
})
await fails('no token', 'SASL_PLAINTEXT', { sasl: bearer(() => ({ value: `${token} with blanks` })) })
await fails('an odd answer', 'SASL_PLAINTEXT', { sasl: bearer(() => ({ value: token, expiresAt: token })) })
// A service that says back what it was sent.
const echo = createServer(async (request, response) => {
  let body = request.headers.authorization ?? ''
  for await (const part of request.setEncoding('utf8')) body += part
  const decoded = Buffer.from(body.replace('Basic ', ''), 'base64').toString()
  response.writeHead(400).end(JSON.stringify({ error: password, error_description: `${body} ${decoded} ${password}` }))
})
await once(echo.listen(0, '127.0.0.1'), 'listening')
const tokenEndpointUrl = `http://127.0.0.1:${(echo.address() as AddressInfo).port}/?key=${token}`
const endpoint = (members: object) => ({ mechanism: 'OAUTHBEARER', tokenEndpointUrl, withoutTls: true, ...members })
const client = { clientId: 'orders', clientSecret: password }
await fails('a service that refuses', 'SASL_PLAINTEXT', { sasl: endpoint(client) })
await fails('a service that is not there', 'SASL_PLAINTEXT', {
  sasl: endpoint({ ...client, tokenEndpointUrl: `http://127.0.0.1:1/?key=${token}` }),
})
const signing = { assertionKey: key, assertionPassphrase: passphrase, clientId: 'orders' }
await fails('a key that does not open', 'SASL_PLAINTEXT', { sasl: endpoint(signing) })
const aws = { awsAccessKeyId: 'AKID', awsSecretAccessKey: password, awsSessionToken: token, awsRegion: 'eu-west-1' }
await fails('AWS, not offered', 'SASL_PLAINTEXT', { sasl: { mechanism: 'AWS_MSK_IAM', ...aws, withoutTls: true } })
await fails('AWS, not believed', 'SASL_PLAINTEXT', { sasl: { mechanism: 'OAUTHBEARER', ...aws, withoutTls: true } })
const odd = () => ({ accessKeyId: 'AKID', secretAccessKey: [password], sessionToken: token })
await fails('AWS, an odd answer', 'SASL_PLAINTEXT', {
  sasl: { mechanism: 'AWS_MSK_IAM', awsCredentials: odd, awsRegion: 'eu-west-1', withoutTls: true },
})
echo.close()
await fails('SASL at a listener with TLS', 'SSL', { sasl: sasl('PLAIN') })
await fails('SASL at a listener without', 'PLAINTEXT', { sasl: sasl('PLAIN') })
await fails('TLS at a listener without', 'SASL_PLAINTEXT', { tls: { ca }, sasl: sasl('PLAIN') })
await fails('wrong passphrase', 'MTLS', { tls: { ca, cert: ca, key, passphrase } })

refused('tls is a key', { tls: key })
refused('a key without a certificate', { tls: { key, passphrase } })
refused('a key in the place of a certificate', { tls: { ca: key } })
refused('a key as the name of a mechanism', { sasl: { mechanism: 'PLAIN', username: 'u', password: [password] } })
refused('sasl is a password', { sasl: password })
refused('password without TLS', { sasl: { mechanism: 'PLAIN', username: 'u', password } })
refused('a password and a token', { tls: true, sasl: { mechanism: 'OAUTHBEARER', token, password } })
refused('a token with blanks', { tls: true, sasl: { mechanism: 'OAUTHBEARER', token: `${token} ${token}` } })
refused('a token and a client secret', { tls: true, sasl: endpoint({ ...client, token }) })
refused('a URL with a password', {
  tls: true,
  sasl: endpoint({ ...client, tokenEndpointUrl: `https://u:${password}@a/` }),
})
refused('a key that is none', { tls: true, sasl: endpoint({ clientId: 'c', assertionKey: password }) })
refused('claims that are none', { tls: true, sasl: endpoint({ ...signing, assertionClaims: password }) })
refused('half of a key of AWS', { tls: true, sasl: { mechanism: 'AWS_MSK_IAM', awsSecretAccessKey: password } })
refused('credentials that are no function', { tls: true, sasl: { mechanism: 'AWS_MSK_IAM', awsCredentials: password } })
refused('given twice', { sasl: { password }, 'sasl.password': password })
refused('a JAAS configuration', { 'sasl.jaas.config': `password="${password}"` })
refused('half a surrogate', { sasl: { mechanism: 'PLAIN', username: 'u', password: `${password}\ud800` } })
await administers()
await exchanges()
console.log('DONE')
