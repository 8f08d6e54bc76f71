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

/** The members of `sasl` in `ClientOptions`. */
export interface SaslOptions extends Omit<TableSasl, 'token'> {
  /**
   * The token for OAUTHBEARER, or a function that gives one whenever a new one is needed.
   *
   * `sasl.oauthbearer.token`, a secret string. Source: Dohle.
   */
  token?: string | Uint8Array | TokenProvider | undefined
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
   */
  sasl?: SaslOptions | undefined
}
