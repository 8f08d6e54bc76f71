/** What `npm test` has started ends with it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

const lib = (name: string) => new URL(`../../scripts/lib/${name}`, import.meta.url).href

const runs = (pid: number) => {
  try {
    process.kill(pid, 0)
    // What has ended and was not waited for yet is there, too.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 120_000; !condition(); await sleep(50)) assert.ok(Date.now() < end, what)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`a test that runs is ended with the program that runs it (${signal})`, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'dohle-children-'))
    const [told, file, main] = ['pid', 'endless.test.mjs', 'main.mjs'].map(name => join(dir, name)) as [
      string,
      string,
      string,
    ]
    writeFileSync(
      file,
      `import { writeFileSync } from 'node:fs'
       import { test } from 'node:test'
       test('endless', () => new Promise(() => {
         setInterval(() => {}, 1000)
         writeFileSync(${JSON.stringify(told)}, String(process.pid))
       }))`,
    )
    writeFileSync(
      main,
      `import { endOnSignals } from ${JSON.stringify(lib('children.mjs'))}
       import { nodeTests } from ${JSON.stringify(lib('node-tests.mjs'))}
       endOnSignals()
       await nodeTests([${JSON.stringify(file)}])`,
    )
    // This test runs below a test runner, whose children say so.
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined }
    const child = spawn(process.execPath, [main], { stdio: 'ignore', env })
    const ended = new Promise(resolve => child.once('close', resolve))
    try {
      await until(() => existsSync(told) && readFileSync(told, 'utf8') !== '', 'it runs')
      const pid = Number(readFileSync(told, 'utf8'))
      assert.ok(runs(pid))
      child.kill(signal)
      assert.equal(await ended, signal === 'SIGINT' ? 130 : 143)
      await until(() => !runs(pid), `${pid} still runs`)
    } finally {
      child.kill('SIGKILL')
      rmSync(dir, { recursive: true, force: true })
    }
  })
}
