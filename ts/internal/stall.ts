/**
 * The event of a partition that stands still, as the engine tells it, in the public form.
 */
import type { KafkaError } from '../errors.ts'
import type { StallReason, TopicPartition } from '../generated/operations.ts'
import { failureOf } from './failure.ts'
import { decodeInt64 } from './values.ts'

/** A partition that has records to read, or of which nobody knows, and that does not move. */
export interface Stall extends TopicPartition {
  /** Offset of the next record that the loop gets; null while it is being looked up. */
  position: number | null
  /** Records that could be read; null while that is not known. */
  lag: number | null
  /** For how many milliseconds it has been so. */
  idleMs: number
  /**
   * Why, as far as can be seen: the program has paused it (`paused`) or does not ask for its records (`not-asked`) or for those of others that
   * fill the buffer (`no-credit`); the group gives it away or waits for `onAssigned` (`rebalancing`); its position is being looked up
   * (`looking-up`); it has no leader (`no-leader`); what was asked failed and is asked again (`backing-off`); it is asked for and nothing
   * comes (`fetching`); the loop was told an error and it waits for a seek (`failed`).
   */
  reason: StallReason
  /** What failed last, when that is the reason. */
  cause?: KafkaError
}

/** The engine's text, as an object. */
interface StallEvent extends TopicPartition {
  position: string | null
  lag: string | null
  idleMs: number
  reason: StallReason
  error: object | null
}

/** The public form of the event. */
export function stallOf(event: object): Stall {
  const { topic, partition, position, lag, idleMs, reason, error } = event as StallEvent
  const number = (text: string | null) => (text === null ? null : decodeInt64(text))
  const stall: Stall = { topic, partition, position: number(position), lag: number(lag), idleMs, reason }
  if (error !== null) stall.cause = failureOf(JSON.stringify(error))
  return stall
}
