/**
 * How connections are secured, as a program says it: `tls` and `sasl` of `new Kafka(...)`.
 */
import type { ClientOptions as TableOptions, SaslOptions as TableSasl } from './generated/options.ts'

/** A token for the mechanism OAUTHBEARER. */
export interface Token {
  /** What the broker is shown, such as a JWT. */
  value: string
  /**
   * When it ends, in milliseconds since 1970. Without it: as the token itself says, if it is a JWT (`exp`); else a new one
   * is asked for with each connection.
   */
  expiresAt?: number | undefined
  /** SASL extensions (KIP-342) that go to the broker beside it. */
  extensions?: Record<string, string> | undefined
}

/**
 * Gives a token: when the first connection needs one, and again when 80 % of its life are over. Never called twice at a time. It has
 * `requestTimeoutMs`; when it fails or is late, what waits for a connection fails with `CALLBACK_FAILED`, unless the last token is still good.
 */
export type TokenProvider = () => Token | string | Promise<Token | string>

/** Who a program is to AWS: what `sasl.awsCredentials` gives, and the credential providers of AWS's SDK give too. */
export interface AwsCredentials {
  /** The name of the key. */
  accessKeyId: string
  /** The key. */
  secretAccessKey: string
  /** What belongs to a key that is good for some time only. */
  sessionToken?: string | undefined
  /** When that time is over. */
  expiration?: Date | undefined
}

/**
 * Gives credentials of AWS: for each login by `AWS_MSK_IAM`, and for each token by `OAUTHBEARER`. Any credential provider of AWS's SDK
 * is one. It has `requestTimeoutMs`; when it fails or is late, what waits for a connection fails with `CALLBACK_FAILED`.
 */
export type AwsCredentialsProvider = () => AwsCredentials | Promise<AwsCredentials>

/** The members of `sasl` in `ClientOptions`. */
export interface SaslOptions extends Omit<TableSasl, 'token'> {
  /**
   * The token for OAUTHBEARER, or a function that gives one whenever a new one is needed.
   *
   * `sasl.oauthbearer.token`, a secret string. Source: Dohle.
   */
  token?: string | Uint8Array | TokenProvider | undefined
  /**
   * A function that gives credentials of AWS, for `AWS_MSK_IAM`, or for `OAUTHBEARER` towards Amazon MSK.
   *
   * In TypeScript only. Source: Dohle.
   */
  awsCredentials?: AwsCredentialsProvider | undefined
}

/** Certificates and keys in PEM, as the members of `tls` have them. What is absent stays as it is. */
export interface TlsMaterial {
  /** Whom to trust: certificates of authorities. They take the place of those that were trusted. */
  ca?: string | Uint8Array | undefined
  /** The client's certificate, with those between it and its authority behind it; it comes with its `key`. */
  cert?: string | Uint8Array | undefined
  /** The certificate's private key. */
  key?: string | Uint8Array | undefined
  /** Opens the key when it is encrypted. */
  passphrase?: string | Uint8Array | undefined
}

/** Options of `Kafka`: how to reach the cluster. */
export interface ClientOptions extends Omit<TableOptions, 'sasl'> {
  /**
   * Who the client is (SASL): a mechanism, and the user name and password, or the token, that it takes.
   *
   * `sasl.mechanism` and the others that begin with `sasl`.
   *
   * @example
   * new Kafka({ brokers, tls: true, sasl: { mechanism: 'SCRAM-SHA-512', username: 'orders', password } })
   * new Kafka({ brokers, tls: true, sasl: { mechanism: 'OAUTHBEARER', token: async () => ({ value: await fetchToken() }) } })
   * new Kafka({ brokers, tls: true, sasl: { mechanism: 'OAUTHBEARER', tokenEndpointUrl, clientId, clientSecret } })
   * new Kafka({ brokers, tls: true, sasl: { mechanism: 'AWS_MSK_IAM', awsCredentials: fromNodeProviderChain() } })
   * @example
   * const { tokenId, hmac } = await kafka.admin().createDelegationToken()
   * const password = Buffer.from(hmac).toString('base64')
   * new Kafka({ brokers, tls: true, sasl: { mechanism: 'SCRAM-SHA-256', delegationToken: true, username: tokenId, password } })
   */
  sasl?: SaslOptions | undefined
}
