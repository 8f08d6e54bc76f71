/**
 * kafkajs' types of the client: its options and its logger.
 */
import type * as net from 'node:net'
import type * as tls from 'node:tls'
import type { logLevel } from '../constants.ts'

/** Finds the brokers to ask first, when connecting. */
export type BrokersFunction = () => string[] | Promise<string[]>

/** Options of `Kafka`. */
export interface KafkaConfig {
  /** Brokers to ask first, as `host:port`. */
  brokers: string[] | BrokersFunction
  /** TLS: `true`, or options of `tls.connect`. */
  ssl?: tls.ConnectionOptions | boolean | undefined
  /** How to authenticate. A `Mechanism` of the program's own is refused. */
  sasl?: SASLOptions | Mechanism | undefined
  /** Name of this client for brokers. */
  clientId?: string | undefined
  /** How long one attempt to connect may take, in milliseconds. */
  connectionTimeout?: number | undefined
  /** Accepted; authentication counts as part of connecting. */
  authenticationTimeout?: number | undefined
  /** Accepted; the engine authenticates anew before the session ends. */
  reauthenticationThreshold?: number | undefined
  /** How long to wait for an answer, in milliseconds. */
  requestTimeout?: number | undefined
  /** Accepted; timeouts are always enforced. */
  enforceRequestTimeout?: boolean | undefined
  /** How failures are tried again. */
  retry?: RetryOptions | undefined
  /** Refused: sockets are the engine's. */
  socketFactory?: ISocketFactory | undefined
  /** How much is logged. */
  logLevel?: logLevel | undefined
  /** Where it is logged to. */
  logCreator?: logCreator | undefined
}

/** See `ISocketFactory`. */
export interface ISocketFactoryArgs {
  /** The broker's host. */
  host: string
  /** The broker's port. */
  port: number
  /** Options of `tls.connect`. */
  ssl: tls.ConnectionOptions
  /** To be called when connected. */
  onConnect: () => void
}

/** Makes sockets. `Kafka` refuses one. */
export type ISocketFactory = (args: ISocketFactoryArgs) => net.Socket

/** A token for OAUTHBEARER. */
export interface OauthbearerProviderResponse {
  /** The token. */
  value: string
}

type SASLMechanismOptionsMap = {
  plain: { username: string; password: string }
  'scram-sha-256': { username: string; password: string }
  'scram-sha-512': { username: string; password: string }
  aws: {
    authorizationIdentity: string
    accessKeyId: string
    secretAccessKey: string
    sessionToken?: string | undefined
  }
  oauthbearer: { oauthBearerProvider: () => Promise<OauthbearerProviderResponse> }
}

/** Names of SASL mechanisms. */
export type SASLMechanism = keyof SASLMechanismOptionsMap
type SASLMechanismOptions<T> = T extends SASLMechanism ? { mechanism: T } & SASLMechanismOptionsMap[T] : never
/** How to authenticate. */
export type SASLOptions = SASLMechanismOptions<SASLMechanism>

type SaslAuthenticationRequest = { encode: () => Buffer | Promise<Buffer> }
type SaslAuthenticationResponse<ParseResult> = {
  decode: (rawResponse: Buffer) => Buffer | Promise<Buffer>
  parse: (data: Buffer) => ParseResult
}

/** What a mechanism of the program's own returns. */
export type Authenticator = { authenticate: () => Promise<void> }

/** A step of a mechanism of the program's own. */
export type SaslAuthenticateArgs<ParseResult> = {
  request: SaslAuthenticationRequest
  response?: SaslAuthenticationResponse<ParseResult>
}

/** What a mechanism of the program's own is given. */
export type AuthenticationProviderArgs = {
  host: string
  port: number
  logger: Logger
  // biome-ignore lint/suspicious/noConfusingVoidType: as in kafkajs' types
  saslAuthenticate: <ParseResult>(args: SaslAuthenticateArgs<ParseResult>) => Promise<ParseResult | void>
}

/** A mechanism of the program's own. `Kafka` refuses one. */
export type Mechanism = {
  mechanism: string
  authenticationProvider: (args: AuthenticationProviderArgs) => Authenticator
}

/** How failures are tried again: the engine takes the pauses, and what they add up to as the time it goes on. */
export interface RetryOptions {
  /** Longest pause, in milliseconds. */
  maxRetryTime?: number | undefined
  /** First pause, in milliseconds. */
  initialRetryTime?: number | undefined
  /** Accepted; pauses vary by 20 %. */
  factor?: number | undefined
  /** Accepted; pauses double. */
  multiplier?: number | undefined
  /** How often. */
  retries?: number | undefined
  /** Whether a consumer that crashed begins again. */
  restartOnFailure?: ((e: Error) => Promise<boolean>) | undefined
}

/** A line of the log. */
export interface LogEntry {
  /** Which part wrote it. */
  namespace: string
  /** How important it is. */
  level: logLevel
  /** The level's name. */
  label: string
  /** What it says. */
  log: LoggerEntryContent
}

/** What a line of the log says. */
export interface LoggerEntryContent {
  /** When, ISO 8601. */
  readonly timestamp: string
  /** The text. */
  readonly message: string
  /** What the program has added. */
  // biome-ignore lint/suspicious/noExplicitAny: as in kafkajs' types, programs read members of their own
  [key: string]: any
}

/** Makes a function that writes lines. */
export type logCreator = (logLevel: logLevel) => (entry: LogEntry) => void

/** Writes lines of the log. */
export type Logger = {
  info: (message: string, extra?: object) => void
  error: (message: string, extra?: object) => void
  warn: (message: string, extra?: object) => void
  debug: (message: string, extra?: object) => void
  namespace: (namespace: string, logLevel?: logLevel) => Logger
  setLogLevel: (logLevel: logLevel) => void
}
