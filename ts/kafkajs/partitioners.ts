/**
 * kafkajs' partitioners. They run before the engine, which is then given the partition.
 */
import { randomInt } from 'node:crypto'
import { javaMurmur2, legacyMurmur2 } from './murmur2.ts'
import type { ICustomPartitioner } from './types/records.ts'

const toPositive = (x: number) => x & 0x7fffffff

/** By the partition that is named, by the hash of the key, or in turn. */
const by =
  (hash: (key: Buffer | string) => number): ICustomPartitioner =>
  () => {
    const turns = new Map<string, number>()
    return ({ topic, partitionMetadata, message }) => {
      if (message.partition !== null && message.partition !== undefined) return message.partition
      if (message.key !== null && message.key !== undefined)
        return toPositive(hash(message.key)) % partitionMetadata.length
      const turn = (turns.get(topic) ?? randomInt(2 ** 31)) + 1
      turns.set(topic, turn)
      const available = partitionMetadata.filter(({ leader }) => leader >= 0)
      const chosen = available[toPositive(turn) % available.length]
      return chosen?.partitionId ?? toPositive(turn) % partitionMetadata.length
    }
  }

/**
 * With a key Java's murmur2 of it, which a producer leaves to the engine, whose own it is; without one the partitions in turn.
 */
const DefaultPartitioner = by(javaMurmur2)

/** kafkajs' partitioners. */
export const Partitioners = {
  DefaultPartitioner,
  /** kafkajs' own of before 2.0: another murmur2, so other partitions. */
  LegacyPartitioner: by(legacyMurmur2),
  /** @deprecated Use DefaultPartitioner instead. */
  JavaCompatiblePartitioner: DefaultPartitioner,
}
