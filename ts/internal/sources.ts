/**
 * What a transaction commits offsets of: a consumer, a message or a batch, each led back to the reader that it came from.
 */
import { Batch, chunkOf } from '../batch.ts'
import type { FinishedRecord, OffsetsOfGroup, PartitionOffset } from '../generated/operations.ts'
import { Message, progressOf, view } from '../message.ts'
import { invalid, kindOf } from './failure.ts'
import type { Reader } from './reader.ts'

/** The readers of consumers. */
export const readers = new WeakMap<object, Reader>()

/** The reader of a consumer, or of what was read by it, and the record up to which its partition is done. */
export function sourceOf(from: object): { reader: Reader; after?: FinishedRecord[] } {
  const reader = readers.get(from)
  if (reader !== undefined) return { reader }
  const message = from instanceof Batch ? lastOf(from) : from
  if (message === undefined) return { reader: chunkOf(from as Batch).progress.owner as Reader, after: [] }
  if (!(message instanceof Message)) throw invalid('from', `is ${kindOf(from)}, not a consumer, a message or a batch`)
  const { topic, partition, offset, leaderEpoch } = message
  const progress = progressOf(message)
  if (progress.owner === undefined) throw invalid('from', 'is a message of a partition that no consumer has read')
  return {
    reader: progress.owner as Reader,
    after: [{ topic, partition, offset, leaderEpoch, chunkEpoch: progress.epoch }],
  }
}

/** The reader that a message came from. */
export function readerOf(message: Message): Reader {
  return progressOf(message).owner as Reader
}

/** The last record of a batch; of one that was taken back, the last that was given to the program, if there is one. */
function lastOf(batch: Batch): Message | undefined {
  const chunk = chunkOf(batch)
  const count = chunk.progress.revoked ? chunk.progress.stepped : chunk.count
  return count === 0 ? undefined : view(chunk, count - 1)
}

/** What is to be committed: after these records, or all that is finished, what a loop has in hand included. */
export function offsetsOf(reader: Reader, after: FinishedRecord[] | undefined): OffsetsOfGroup {
  if (after === undefined) reader.include()
  return reader.environment.invoke(reader.handle, 'consumer.transactionOffsets', after === undefined ? {} : { after })
}

/** The transaction has committed these. */
export function committed(reader: Reader, offsets: PartitionOffset[]): void {
  orClosed(() => reader.environment.invoke(reader.handle, 'consumer.offsetsCommitted', { offsets }))
}

/** The transaction was aborted: nothing that was read since the last commit counts. */
export function rewind(reader: Reader): void {
  reader.loop?.paused?.(() => true, false)
  orClosed(() => reader.environment.invoke(reader.handle, 'consumer.rewind', {}))
}

/** A consumer that is closed meanwhile has nothing to be told; one that cannot be rewound has said so before. */
function orClosed(tell: () => void): void {
  try {
    tell()
  } catch {}
}
