/**
 * Partitions and places in them, as programs name them, in the form that operations take.
 */
import type { PartitionDescription, PartitionStart, Start } from '../generated/operations.ts'
import { objectOf, reading, textAt } from './arguments.ts'
import type { Environment } from './environment.ts'
import { invalid, kindOf } from './failure.ts'

/** A partition and a place in it, not checked yet. */
interface Place {
  topic: string
  partition: number
  offset?: number | 'earliest' | 'latest' | 'committed' | { timestamp: number | Date } | undefined
}

/** A partition and its place; `otherwise` when it names none. The operation's encoder checks topic and partition. */
export function placeOf(of: Place, path: string, otherwise?: 'committed' | 'earliest'): PartitionStart {
  const from = objectOf(of, path)
  return reading(path, () => {
    const { topic, partition, offset } = from
    return { topic, partition, start: startOf(offset ?? otherwise, `${path}.offset`) }
  })
}

/** A partition and a place whose offset can be looked up. */
export function lookedUp(of: Place, path: string): PartitionStart {
  const place = placeOf(of, path)
  const { kind } = place.start
  if (kind === 'offset' || kind === 'committed')
    throw invalid(
      `${path}.offset`,
      `is ${kind === 'offset' ? 'an offset already' : "'committed'"}, not 'earliest', 'latest' or { timestamp }`,
    )
  return place
}

/** The partitions of a topic, asked of the cluster of a client. */
export async function partitionsOf(
  environment: Environment,
  client: number,
  topic: string,
  signal: AbortSignal | undefined,
): Promise<PartitionDescription[]> {
  const request = { topics: [textAt(topic, 'topic')] }
  const [described] = await environment.call(client, 'admin.describeTopics', request, signal)
  return described?.partitions ?? []
}

/** Tells what is of these partitions. */
export function concerning(
  partitions: readonly { topic: string; partition: number }[],
): (of: { topic: string; partition: number }) => boolean {
  const concerned = new Set(partitions.map(({ topic, partition }) => `${partition}/${topic}`))
  return ({ topic, partition }) => concerned.has(`${partition}/${topic}`)
}

function startOf(at: Place['offset'], path: string): Start {
  if (at === 'earliest' || at === 'latest' || at === 'committed') return { kind: at }
  if (typeof at === 'number') {
    if (!Number.isSafeInteger(at) || at < 0) throw invalid(path, `${at} is not a whole number from 0`)
    return { kind: 'offset', offset: at }
  }
  if (typeof at === 'object' && at !== null && 'timestamp' in at) {
    const { timestamp: time } = at
    const timestamp = time instanceof Date ? time.getTime() : time
    if (!Number.isSafeInteger(timestamp) || timestamp < 0)
      throw invalid(`${path}.timestamp`, 'is not whole milliseconds since the epoch')
    return { kind: 'timestamp', timestamp }
  }
  const wrong: unknown = at
  const found = typeof wrong === 'string' ? `'${wrong.slice(0, 60)}'` : kindOf(wrong)
  throw invalid(path, `is ${found}, not an offset, 'earliest', 'latest', 'committed' or { timestamp }`)
}
