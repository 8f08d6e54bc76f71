/** kafkajs 2.2.4 and `dohle/kafkajs`, and what a program sees of either that is the same in each run. */
import * as ours from 'dohle/kafkajs'
import * as theirs from 'kafkajs'

/** What the programs need of either client. */
export type Library = Pick<typeof ours, 'Kafka' | 'logLevel' | 'CompressionTypes' | 'Partitioners'>
/** Both, by name. */
export const both = { kafkajs: theirs as unknown as Library, 'dohle/kafkajs': ours as Library }

/** What is different in each run. */
const volatile = new Set(['timestamp', 'logStartOffset', 'message', 'stack', 'helpUrl', 'batchContext', 'memberId'])

/** What is the same in each run. */
export function steady(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return `Buffer ${value.toString('hex')}`
  if (Array.isArray(value)) return value.map(steady)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !volatile.has(name))
      .map(([name, member]) => [name, steady(member)]),
  )
}

/** What a program sees of an error. */
export async function failure(work: () => unknown): Promise<object> {
  try {
    const result = await work()
    return { result: steady(result) }
  } catch (error) {
    const { name, retriable, type, code, cause } = error as ours.KafkaJSProtocolError
    const { name: under, type: underType } = (cause ?? {}) as ours.KafkaJSProtocolError
    const engines = ['KafkaError', 'InvalidConfigurationError', 'PartialFailureError', 'RefreshRetriableError']
    return { name, retriable, type, code, cause: engines.includes(under) ? undefined : under, causeType: underType }
  }
}
