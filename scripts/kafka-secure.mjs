// A real Apache Kafka with every kind of secured listener, for tests: SSL, MTLS (a client certificate is required), SASL_PLAINTEXT
// and SASL_SSL with PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER (unsecured JWTs), SELF_SIGNED (TLS with a certificate that is
// its own authority), beside PLAINTEXT. Its certificates are made by openssl, in the broker's folder, valid from now on.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KafkaServer } from './kafka.mjs'
import { run } from './lib/run.mjs'

/** An authority and what it issues, as PEM files in a folder. */
export class Authority {
  constructor(dir, name = 'ca') {
    this.dir = dir
    this.name = name
    mkdirSync(dir, { recursive: true })
    this.#config = join(dir, 'openssl.cnf')
    writeFileSync(this.#config, '[req]\ndistinguished_name=dn\n[dn]\n')
  }

  #config

  /** Makes the authority itself. */
  async make() {
    const what = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign']
    await this.#request(this.name, `Dohle's tests, ${this.name}`, what)
    return this
  }

  /** Issues a certificate: NAME.pem and NAME.key (PKCS#8). `names` are those of a server: `DNS:localhost`, `IP:127.0.0.1`. */
  async issue(name, names = []) {
    const what = ['basicConstraints=critical,CA:FALSE']
    if (names.length > 0) what.push(`subjectAltName=${names.join(',')}`)
    const by = ['-CA', this.path(`${this.name}.pem`), '-CAkey', this.path(`${this.name}.key`)]
    await this.#request(name, name, what, by)
    return { cert: this.read(`${name}.pem`), key: this.read(`${name}.key`) }
  }

  /** The same, a day after its end. */
  async issueExpired(name) {
    const [request, extensions] = [this.path(`${name}.csr`), this.path(`${name}.ext`)]
    const asked = ['req', '-new', '-config', this.#config, '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`]
    await run('openssl', [...asked, '-keyout', this.path(`${name}.key`), '-out', request], { capture: true })
    writeFileSync(extensions, 'basicConstraints=critical,CA:FALSE\n')
    const by = ['-CA', this.path(`${this.name}.pem`), '-CAkey', this.path(`${this.name}.key`), '-set_serial', '1']
    const made = ['x509', '-req', '-in', request, ...by, '-days', '-1', '-extfile', extensions]
    await run('openssl', [...made, '-out', this.path(`${name}.pem`)], { capture: true })
    return { cert: this.read(`${name}.pem`), key: this.read(`${name}.key`) }
  }

  /** A server's certificate as `openssl req -x509` makes them where nothing is said: its own authority (CA:TRUE). */
  async selfSigned(name, names) {
    await this.#request(name, name, ['basicConstraints=critical,CA:TRUE', `subjectAltName=${names.join(',')}`])
    return { cert: this.read(`${name}.pem`), key: this.read(`${name}.key`) }
  }

  async #request(name, subject, extensions, more = []) {
    const files = ['-keyout', this.path(`${name}.key`), '-out', this.path(`${name}.pem`)]
    const kind = ['-newkey', 'rsa:2048', '-nodes', '-days', '3', '-subj', `/CN=${subject}`]
    const added = extensions.flatMap(extension => ['-addext', extension])
    const args = ['req', '-x509', '-config', this.#config, ...kind, ...files, ...added, ...more]
    await run('openssl', args, { capture: true })
  }

  path(file) {
    return join(this.dir, file)
  }

  read(file) {
    return readFileSync(this.path(file), 'utf8')
  }
}

const LOGIN = 'org.apache.kafka.common.security'
/** Names and passwords of who can log in. */
export const USERS = { alice: 'secret-of-alice' }

/** The secured listeners, and what each speaks. */
export const listeners = {
  SSL: 'SSL',
  MTLS: 'SSL',
  SELF_SIGNED: 'SSL',
  SASL_PLAINTEXT: 'SASL_PLAINTEXT',
  SASL_SSL: 'SASL_SSL',
}

/** Makes what `settings` name, in the authority's folder; returns a client's certificate and key. */
export async function certificates(authority) {
  await authority.make()
  const server = await authority.issue('server', ['DNS:localhost', 'IP:127.0.0.1'])
  const client = await authority.issue('client')
  const own = await authority.selfSigned('self', ['DNS:localhost', 'IP:127.0.0.1'])
  writeFileSync(authority.path('self-keystore.pem'), own.key + own.cert)
  writeFileSync(authority.path('keystore.pem'), server.key + server.cert + authority.read('ca.pem'))
  return client
}

/** A broker and what its clients need. */
export class SecureKafka {
  constructor(kafka, authority, client) {
    this.kafka = kafka
    this.authority = authority
    /** The authority's certificate. */
    this.ca = authority.read('ca.pem')
    /** A certificate that the listener MTLS accepts, and its key. */
    this.client = client
    /** Names and passwords. */
    this.users = USERS
    /** `host:port` of each listener. */
    this.address = kafka.address
    /** That of the plain one. */
    this.bootstrap = kafka.bootstrap
  }

  /**
   * Starts it. `properties`: broker settings, over those that make it secure. `jwks`: a URL of the keys that tokens are signed
   * with: there is a listener OIDC (SASL_SSL, OAUTHBEARER) then, that takes only tokens of these, for the audience `kafka`.
   */
  static async start({ properties = {}, jwks = '' } = {}) {
    const authority = new Authority(mkdtempSync(join(tmpdir(), 'dohle-tls-')))
    const client = await certificates(authority)
    const kafka = await KafkaServer.start({
      listeners: { ...listeners, ...(jwks && { OIDC: 'SASL_SSL' }) },
      scram: USERS,
      properties: { ...settings(authority), ...(jwks && validating(jwks)), ...properties },
      jvm: jwks ? [`-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${jwks}`] : [],
    })
    return new SecureKafka(kafka, authority, client)
  }

  /** Stops it and removes its files. */
  async stop() {
    await this.kafka.stop()
    rmSync(this.authority.dir, { recursive: true, force: true })
  }
}

/** What makes the listeners secure, in Kafka's properties. */
export function settings(authority) {
  const users = Object.entries(USERS).map(([name, password]) => `user_${name}="${password}"`)
  const sasl = ['sasl_plaintext', 'sasl_ssl'].flatMap(name => {
    const of = `listener.name.${name}`
    return [
      [`${of}.sasl.enabled.mechanisms`, 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER'],
      [`${of}.plain.sasl.jaas.config`, `${LOGIN}.plain.PlainLoginModule required ${users.join(' ')};`],
      [`${of}.scram-sha-256.sasl.jaas.config`, `${LOGIN}.scram.ScramLoginModule required;`],
      [`${of}.scram-sha-512.sasl.jaas.config`, `${LOGIN}.scram.ScramLoginModule required;`],
      [`${of}.oauthbearer.sasl.jaas.config`, `${LOGIN}.oauthbearer.OAuthBearerLoginModule required;`],
    ]
  })
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': authority.path('keystore.pem'),
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': authority.path('ca.pem'),
    'listener.name.mtls.ssl.client.auth': 'required',
    'listener.name.self_signed.ssl.keystore.type': 'PEM',
    'listener.name.self_signed.ssl.keystore.location': authority.path('self-keystore.pem'),
    ...Object.fromEntries(sasl),
  }
}

/** The settings of the listener OIDC. */
function validating(jwks) {
  const of = 'listener.name.oidc'
  const handler = `${LOGIN}.oauthbearer.OAuthBearerValidatorCallbackHandler`
  return {
    [`${of}.sasl.enabled.mechanisms`]: 'OAUTHBEARER',
    [`${of}.oauthbearer.sasl.jaas.config`]: `${LOGIN}.oauthbearer.OAuthBearerLoginModule required;`,
    [`${of}.oauthbearer.sasl.server.callback.handler.class`]: handler,
    [`${of}.oauthbearer.sasl.oauthbearer.jwks.endpoint.url`]: jwks,
    [`${of}.oauthbearer.sasl.oauthbearer.expected.audience`]: 'kafka',
  }
}

/** A token that a broker of `SecureKafka` accepts: a JWT without a signature. */
export function unsecuredToken(subject, lifetimeMs) {
  const part = value => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Date.now() / 1000
  return `${part({ alg: 'none' })}.${part({ sub: subject, iat: now, exp: now + lifetimeMs / 1000 })}.`
}
