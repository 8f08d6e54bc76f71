/**
 * kafkajs' options as the engine's. Only names and units change here; what has no counterpart is refused by name, or said to be
 * accepted in its documentation.
 */
import type { ClientOptions, ConsumerOptions as EngineConsumerOptions, ProducerOptions } from '../index.ts'
import { CompressionTypes, logLevel } from './constants.ts'
import { KafkaJSNonRetriableError } from './errors.ts'
import { refusal } from './failure.ts'
import { saslOptions, sslOptions } from './security.ts'
import type { KafkaConfig, RetryOptions } from './types/client.ts'
import type { ConsumerConfig } from './types/consumer.ts'
import type { ProducerConfig } from './types/records.ts'

/** kafkajs' defaults. */
const RETRY = { maxRetryTime: 30_000, initialRetryTime: 300, multiplier: 2, retries: 5 }
const CONNECTION_TIMEOUT_MS = 1_000
/** The brokers' own limit of a request (`socket.request.max.bytes`): kafkajs has none, brokers check records by themselves. */
const MAX_REQUEST_BYTES = 104_857_600
/** The engine's own. */
const MAX_POLL_INTERVAL_MS = 300_000
const MAX_SETUP_MS = 30_000
const A_DAY_MS = 86_400_000

/** The engine's levels. */
const LEVELS = { 0: 'off', 1: 'error', 2: 'warn', 4: 'info', 5: 'debug' } as const

/** How failures are tried again. */
export interface Patience {
  initialRetryTime: number
  maxRetryTime: number
  retries: number
  /** How long all attempts take: connecting, and the pauses between them. */
  totalMs: number
}

/** How often, and for how long, kafkajs would try. */
export function patience(config: KafkaConfig, own: RetryOptions | undefined): Patience {
  const retry = { ...RETRY, ...defined(config.retry), ...defined(own) }
  const { initialRetryTime, maxRetryTime, multiplier, retries } = retry
  let totalMs = config.connectionTimeout ?? CONNECTION_TIMEOUT_MS
  for (let i = 0, pause = initialRetryTime; i < retries && totalMs < A_DAY_MS; i++) {
    totalMs += Math.min(pause, maxRetryTime) + (config.connectionTimeout ?? CONNECTION_TIMEOUT_MS)
    pause *= multiplier
  }
  return { initialRetryTime, maxRetryTime, retries, totalMs: Math.min(Math.ceil(totalMs), A_DAY_MS) }
}

/** Refuses what cannot be, as soon as it is said. */
export function checkConfig(config: KafkaConfig): void {
  if (config.socketFactory !== undefined && config.socketFactory !== null) {
    throw new KafkaJSNonRetriableError(
      'socketFactory: sockets are made by the engine; for proxies use the network, for TLS the option ssl',
    )
  }
  saslOptions(config.sasl, config.ssl)
  sslOptions(config.ssl)
}

/** Options of the engine's client. */
export function clientOptions(
  config: KafkaConfig,
  brokers: string[],
  { initialRetryTime, maxRetryTime }: Patience,
  metadataMaxAge?: number,
): ClientOptions {
  const { clientId = 'kafkajs', connectionTimeout, requestTimeout, ssl, sasl } = config
  const setup = connectionTimeout && {
    socketConnectionSetupTimeoutMs: connectionTimeout,
    socketConnectionSetupTimeoutMaxMs: Math.max(connectionTimeout, MAX_SETUP_MS),
  }
  return defined({
    brokers,
    clientId,
    ...setup,
    requestTimeoutMs: requestTimeout,
    retryBackoffMs: Math.min(initialRetryTime, 3_600_000),
    retryBackoffMaxMs: Math.min(Math.max(maxRetryTime, initialRetryTime), 3_600_000),
    metadataMaxAgeMs: metadataMaxAge,
    logLevel: LEVELS[config.logLevel ?? logLevel.INFO],
    ...sslOptions(ssl),
    ...saslOptions(sasl, ssl),
  }) as unknown as ClientOptions
}

/** How one call of `send` wants its records to go. */
export interface How {
  acks: number
  timeout: number | undefined
  compression: CompressionTypes
}

const codecs = { 0: 'none', 1: 'gzip', 2: 'snappy', 3: 'lz4', 4: 'zstd' } as const
const acknowledgements = { '-1': 'all', '0': '0', '1': '1' } as const

/** Options of the engine's producer for records that go this way. */
export function producerOptions(config: ProducerConfig, { acks, timeout, compression }: How, how: Patience) {
  const { idempotent, allowAutoTopicCreation, maxInFlightRequests, transactionTimeout } = config
  const all = acknowledgements[String(acks) as '-1']
  if (all === undefined) throw refusal('INVALID_REQUIRED_ACKS', `Invalid acks ${acks}: it is -1, 0 or 1`)
  const codec = codecs[compression]
  if (codec === undefined) throw new KafkaJSNonRetriableError(`Invalid compression type ${compression}`)
  const inFlight = all === 'all' && idempotent !== false ? 5 : 1_000_000
  return defined({
    acks: all,
    compression: codec,
    enableIdempotence: all === 'all' ? idempotent : undefined,
    allowAutoCreateTopics: allowAutoTopicCreation,
    maxInFlightRequestsPerConnection: maxInFlightRequests ? Math.min(maxInFlightRequests, inFlight) : undefined,
    deliveryTimeoutMs: timeout,
    maxBlockMs: Math.max(how.totalMs, 1),
    maxRequestSize: MAX_REQUEST_BYTES,
    bufferMemory: 2 * MAX_REQUEST_BYTES,
    transactionTimeoutMs: transactionTimeout,
  }) as ProducerOptions
}

/** Options of the engine's consumer, but those that `run` and `subscribe` decide. */
export function consumerOptions(config: ConsumerConfig): EngineConsumerOptions {
  const { groupId, sessionTimeout = 30_000, heartbeatInterval = 3_000, rebalanceTimeout = 60_000 } = config
  const { maxBytesPerPartition, minBytes, maxBytes = 10_485_760, maxWaitTimeInMs, rackId } = config
  return defined({
    groupId,
    sessionTimeoutMs: sessionTimeout,
    heartbeatIntervalMs: heartbeatInterval,
    maxPollIntervalMs: Math.max(rebalanceTimeout, sessionTimeout, MAX_POLL_INTERVAL_MS),
    maxPartitionFetchBytes: maxBytesPerPartition,
    fetchMinBytes: minBytes,
    fetchMaxBytes: maxBytes,
    fetchMaxWaitMs: maxWaitTimeInMs,
    allowAutoCreateTopics: config.allowAutoTopicCreation,
    isolationLevel: config.readUncommitted ? 'read_uncommitted' : 'read_committed',
    clientRack: rackId || undefined,
  }) as EngineConsumerOptions
}

/** Members that are not undefined. */
export function defined<T extends object>(members: T | undefined): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(members ?? {}).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> }
}

/** `CompressionTypes.None`, where nothing is said. */
export const NONE = CompressionTypes.None
