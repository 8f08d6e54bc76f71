/** confluent-kafka for Python: the current librdkafka. */
import { fileURLToPath } from 'node:url'
import { python } from '../../../scripts/lib/tools.mjs'
import { codecs, command, fromLines, type Peer, toLines } from './peer.ts'

const program = fileURLToPath(new URL('./confluent.py', import.meta.url))
/** The Python that has it. */
export const interpreter = async (): Promise<string> => process.env.DOHLE_PYTHON ?? (await python(() => {}))

export const confluent: Peer = {
  name: 'confluent-kafka (Python)',
  codecs,
  setsTimestamps: true,
  binaryHeaders: true,
  // The wrapper takes a timestamp of 0 for "none given".
  canWrite: record => record.timestamp !== 0,
  async write(bootstrap, jobs) {
    await command(await interpreter(), [program, 'write', bootstrap], toLines(jobs))
  },
  async read(bootstrap, topics) {
    return fromLines(
      await command(await interpreter(), [program, 'read', bootstrap, ...topics.map(({ topic }) => topic)]),
    )
  },
}
