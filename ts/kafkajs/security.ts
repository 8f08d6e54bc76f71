/**
 * kafkajs' `ssl` and `sasl` as the engine's `tls` and `sasl`. What the engine does in another way is refused by name.
 */
import type * as tls from 'node:tls'
import { KafkaJSNonRetriableError } from './errors.ts'
import type { KafkaConfig } from './types/client.ts'

/** Members of `tls.ConnectionOptions` that have a counterpart. */
const KNOWN = ['ca', 'cert', 'key', 'passphrase', 'servername', 'rejectUnauthorized', 'minVersion', 'host', 'port']

/** The engine's `tls`. */
export function sslOptions(ssl: KafkaConfig['ssl']): { tls?: unknown } {
  if (ssl === undefined || ssl === null || ssl === false) return {}
  if (ssl === true) return { tls: true }
  const stray = Object.keys(ssl).filter(
    name => !KNOWN.includes(name) && ssl[name as keyof tls.ConnectionOptions] !== undefined,
  )
  if (stray.length > 0) {
    throw new KafkaJSNonRetriableError(
      `ssl.${stray[0]}: TLS is the engine's, which takes ca, cert, key, passphrase, servername and rejectUnauthorized`,
    )
  }
  const { ca, cert, key, passphrase, servername, rejectUnauthorized } = ssl
  const members = {
    ca: pem(ca, 'ca'),
    cert: pem(cert, 'cert'),
    key: pem(key, 'key'),
    passphrase,
    serverName: servername,
    verify: rejectUnauthorized,
  }
  return { tls: Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) }
}

/** Certificates and keys as PEM: one text, or several that are read as one. */
function pem(given: unknown, name: string): string | undefined {
  if (given === undefined || given === null) return undefined
  const parts = (Array.isArray(given) ? given : [given]).map(part => {
    if (typeof part === 'string') return part
    if (part instanceof Uint8Array) return Buffer.from(part).toString('utf8')
    throw new KafkaJSNonRetriableError(`ssl.${name}: is neither PEM text nor bytes of it`)
  })
  return parts.join('\n')
}

/** The engine's `sasl`. Secrets go over a connection without TLS only where `ssl` is false in so many words. */
export function saslOptions(sasl: KafkaConfig['sasl'], ssl: KafkaConfig['ssl']): { sasl?: unknown } {
  const made = mechanismOf(sasl)
  if (made === undefined) return {}
  if (ssl === undefined || ssl === null) refuseInTheOpen(sasl!.mechanism)
  return { sasl: ssl === false ? { ...made, withoutTls: true } : made }
}

/** What mechanisms send as it is. */
const SECRETS = new Map([
  ['plain', 'password'],
  ['oauthbearer', 'token'],
])

/** The engine would refuse it too, by the names of its own options. */
function refuseInTheOpen(mechanism: string): void {
  const secret = SECRETS.get(mechanism.toLowerCase())
  if (secret === undefined) return
  throw new KafkaJSNonRetriableError(
    `sasl: ${mechanism} sends the ${secret} readable for everyone on the way: turn TLS on (ssl: true), or allow it with ssl: false`,
  )
}

/** What a provider of tokens gives; kafkajs takes the extensions too, which its types do not have. */
interface Bearer {
  value: string
  extensions?: Record<string, string>
}

function mechanismOf(sasl: KafkaConfig['sasl']): object | undefined {
  if (sasl === undefined || sasl === null) return undefined
  if (typeof (sasl.mechanism as unknown) !== 'string')
    throw new KafkaJSNonRetriableError('sasl: it has no mechanism, such as "scram-sha-512"')
  switch (sasl.mechanism.toLowerCase() as typeof sasl.mechanism) {
    case 'plain':
    case 'scram-sha-256':
    case 'scram-sha-512': {
      const { username, password } = sasl as { username: string; password: string }
      return { mechanism: sasl.mechanism.toUpperCase(), username, password }
    }
    case 'oauthbearer': {
      const { oauthBearerProvider } = sasl as { oauthBearerProvider: unknown }
      if (typeof oauthBearerProvider !== 'function')
        throw new KafkaJSNonRetriableError('sasl: oauthbearer needs oauthBearerProvider, a function that gives tokens')
      const token = async () => {
        const { value, extensions } = (await oauthBearerProvider()) as Bearer
        return { value, extensions }
      }
      return { mechanism: 'OAUTHBEARER', token }
    }
    case 'aws':
      throw new KafkaJSNonRetriableError(
        'sasl: the mechanism "aws" shows the secret key to a plugin of the brokers, and is not supported; for Amazon MSK there is AWS_MSK_IAM in ' +
          "'dohle' (sasl: { mechanism: 'AWS_MSK_IAM', awsCredentials }), or oauthbearer here with an oauthBearerProvider from aws-msk-iam-sasl-signer-js",
      )
    default:
      // Looked at last: kafkajs itself puts one into the options it was given, which may be these.
      if ('authenticationProvider' in sasl) {
        throw new KafkaJSNonRetriableError(
          `sasl: a mechanism of your own ("${(sasl as { mechanism: string }).mechanism}") cannot be used, connections are the engine's; for AWS MSK use dohle's AWS_MSK_IAM`,
        )
      }
      throw new KafkaJSNonRetriableError(
        `sasl: the mechanism "${sasl.mechanism}" is not supported; there are plain, scram-sha-256, scram-sha-512 and oauthbearer`,
      )
  }
}
