/**
 * One member of the group in `churn.test.ts`, in a process of its own so that it can be killed and stopped.
 * It writes what it processed (`P partition offset value`) before it commits, and each commit that succeeded
 * (`C partition offset begun ended`, times of the machine's monotonic clock) to a file, line by line, synchronously.
 */
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka } from 'dohle'

const [brokers, topic, groupId, strategy, mode, file] = process.argv.slice(2) as [string, ...string[]] & string[]
const write = (line: string) => appendFileSync(file as string, `${line}\n`)
const now = () => process.hrtime.bigint()

const kafka = new Kafka({ brokers: brokers as string })
const consumer = kafka.consumer({
  groupId: groupId as string,
  autoOffsetReset: 'earliest',
  sessionTimeoutMs: 3_000,
  heartbeatIntervalMs: 300,
  autoCommitIntervalMs: 300,
  enableAutoCommit: mode === 'auto',
  partitionAssignmentStrategy: [strategy as 'range' | 'cooperative-sticky'],
})
consumer.on('joined', ({ generation, partitions }) =>
  write(`J ${generation} ${partitions.map(({ partition }) => partition).join()} ${now()}`),
)
consumer.on('lost', partitions => write(`L ${partitions.map(({ partition }) => partition).join()} ${now()}`))
process.once('SIGTERM', async () => {
  await kafka.close()
  write('closed')
})
await consumer.subscribe(topic as string)

if (mode === 'auto') {
  for await (const { partition, offset, value } of consumer) {
    write(`P ${partition} ${offset} ${value}`)
    if (offset % 10 === 0) await sleep(5)
  }
} else {
  for await (const batch of consumer.batches()) {
    let done = 0
    let text = ''
    for (const { partition, offset, value } of batch) {
      text += `P ${partition} ${offset} ${value}\n`
      done = offset + 1
    }
    if (done === 0) continue
    write(text.trimEnd())
    await sleep(5)
    const begun = now()
    try {
      await consumer.commit([{ topic: topic as string, partition: batch.partition, offset: done }])
      write(`C ${batch.partition} ${done} ${begun} ${now()}`)
    } catch (error) {
      write(`E ${batch.partition} ${done} ${(error as Error).message}`)
    }
  }
}
