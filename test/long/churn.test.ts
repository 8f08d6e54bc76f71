import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Kafka } from 'dohle'
import { KafkaServer } from '../../scripts/kafka.mjs'

const seconds = Number(process.env.DOHLE_CHURN_SECONDS ?? 30)
const partitions = 6
const memberProgram = fileURLToPath(new URL('churn-member.ts', import.meta.url))

/** A member's process, and whether it is stopped (SIGSTOP) now. */
interface Member {
  child: ChildProcess
  stopped: boolean
}

/** One line of what members wrote. */
interface Commit {
  file: string
  partition: number
  offset: number
  begun: bigint
  ended: bigint
}

/** Waits until something is so; the bound is for a machine that is very slow. */
async function until(what: string, so: () => boolean | Promise<boolean>, boundMs = 240_000): Promise<void> {
  const end = performance.now() + boundMs
  while (!(await so())) {
    assert.ok(performance.now() < end, `${what}: not within ${boundMs / 1_000} s`)
    await sleep(100)
  }
}

describe(`members come, go, are killed and stopped every second for ${seconds} s`, () => {
  let server: KafkaServer
  before(async () => {
    server = await KafkaServer.start({ properties: { 'group.min.session.timeout.ms': 1_000 } })
  })
  after(() => server?.stop())

  for (const strategy of ['cooperative-sticky', 'range']) {
    test(`${strategy}: every record is processed, commits never go back, the group never stands still`, async t => {
      const topic = `churn-${strategy}`
      const folder = mkdtempSync(join(tmpdir(), 'dohle-churn-'))
      const members: Member[] = []
      const all: Member[] = []
      const tell = process.env.DOHLE_TEST_VERBOSE ? (what: string) => t.diagnostic(what) : () => {}
      const join_ = () => {
        const file = join(folder, `member-${all.length}`)
        const mode = all.length % 2 === 0 ? 'commit' : 'auto'
        const args = ['--import=tsx', memberProgram, server.bootstrap, topic, topic, strategy, mode, file]
        const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
        const member = { child, stopped: false }
        members.push(member)
        all.push(member)
      }
      const kafka = new Kafka({ brokers: server.bootstrap })
      let producing = true
      let produced = 0
      const watched = new Array<number>(partitions).fill(0)
      try {
        await kafka.admin().createTopics([{ topic, partitions }])
        const producer = kafka.producer()
        const load = (async () => {
          while (producing) {
            const messages = Array.from({ length: 30 }, (_, i) => ({
              partition: (produced + i) % partitions,
              value: String(produced + i),
            }))
            await producer.sendBatch({ topic, messages })
            produced += messages.length
            await sleep(50)
          }
        })()
        const watcher = kafka.consumer({ groupId: topic, enableAutoCommit: false })
        const watched_ = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
        const watching = (async () => {
          while (producing) {
            for (const { partition, offset } of await watcher.committed(watched_)) {
              const now = offset ?? 0
              assert.ok(
                now >= (watched[partition] as number),
                `partition ${partition}: ${watched[partition]}, then ${now}`,
              )
              watched[partition] = now
            }
            await sleep(50)
          }
        })()
        watching.catch(() => {}) // awaited below

        for (let i = 0; i < 3; i++) join_()
        const counts = { joined: 3, left: 0, killed: 0, stopped: 0 }
        let seed = 12_345
        const below = (n: number) => {
          seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
          return Math.floor((seed / 2 ** 32) * n)
        }
        for (let second = 0; second < seconds; second++) {
          await sleep(1_000)
          const dice = members.length <= 2 ? 0 : members.length >= 6 ? 1 + below(3) : below(5)
          const chosen = below(members.length)
          const member = members[chosen] as Member
          if (dice === 0 || dice === 4) {
            join_()
            counts.joined++
          } else if (dice === 1 && !member.stopped) {
            members.splice(chosen, 1)
            member.child.kill('SIGTERM')
            counts.left++
          } else if (dice === 2) {
            members.splice(chosen, 1)
            member.child.kill('SIGKILL')
            counts.killed++
          } else if (!member.stopped) {
            member.stopped = true
            member.child.kill('SIGSTOP')
            counts.stopped++
            // Some for less than the session timeout, some until long after the group has gone on without them.
            setTimeout(() => {
              member.stopped = false
              member.child.kill('SIGCONT')
            }, 500 + below(8_000))
          }
        }
        tell(`${JSON.stringify(counts)}, ${produced} records`)
        await sleep(9_000) // the last of the stopped ones go on
        producing = false
        await load
        await watching

        await until('the group has committed the end of the log', async () => {
          const sum = (await watcher.committed(watched_)).reduce((sum, { offset }) => sum + (offset ?? 0), 0)
          assert.ok(sum <= produced)
          return sum === produced
        })
        for (const { child } of members) child.kill('SIGTERM')
        await until('the members end', () =>
          all.every(({ child }) => child.exitCode !== null || child.signalCode !== null),
        )
        for (const { child } of all)
          assert.ok(child.exitCode === 0 || child.signalCode === 'SIGKILL', `exit code ${child.exitCode}`)

        const processed = new Set<string>()
        const commits: Commit[] = []
        let steps = 0
        for (const file of readdirSync(folder)) {
          for (const line of readFileSync(join(folder, file), 'utf8').split('\n')) {
            const [what, ...words] = line.split(' ')
            if (what === 'P' && words.length === 3) {
              steps++
              const [partition, , value] = words.map(Number) as [number, number, number]
              assert.equal(value % partitions, partition)
              processed.add(words[2] as string)
            } else if (what === 'C' && words.length === 4) {
              const [partition, offset, begun, ended] = words as [string, string, string, string]
              commits.push({ file, partition: +partition, offset: +offset, begun: BigInt(begun), ended: BigInt(ended) })
            }
          }
        }
        assert.equal(processed.size, produced, 'every record was processed')
        let pairs = 0
        for (const one of commits) {
          for (const two of commits) {
            if (one.partition !== two.partition || one.ended > two.begun || one.file === two.file) continue
            pairs++
            assert.ok(
              one.offset <= two.offset,
              `${JSON.stringify({ ...one, begun: '', ended: '' })} was passed by ${two.file} at ${two.offset}`,
            )
          }
        }
        tell(`${steps} steps for ${produced} records, ${commits.length} commits, ${pairs} pairs of different members`)
        assert.ok(commits.length > seconds && pairs > seconds)
        rmSync(folder, { recursive: true })
      } finally {
        producing = false
        for (const { child } of all) child.kill('SIGKILL')
        if (existsSync(folder)) tell(`what the members wrote: ${folder}`)
        await kafka.close()
      }
    })
  }
})
