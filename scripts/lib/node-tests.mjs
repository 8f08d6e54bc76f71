// Runs TypeScript test files with Node's own test runner (through tsx) and returns the counts.

import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { endsWithUs } from './children.mjs'
import { root } from './paths.mjs'

/** The test files below a folder of the clone, without those below `except`. */
export function testFiles(folder, except = []) {
  const top = join(root, folder)
  if (!existsSync(top)) return []
  return readdirSync(top, { recursive: true })
    .map(name => join(folder, name))
    .filter(name => /\.test\.(ts|mjs)$/.test(name) && !except.some(other => name.startsWith(join(folder, other))))
    .filter(name => !name.includes('node_modules'))
    .sort()
}

/** Runs the files; `concurrency` files at a time. */
export function nodeTests(files, { env = {}, concurrency = 1 } = {}) {
  if (files.length === 0) return Promise.resolve({ passed: 0, failed: 0, skipped: 0, failures: [] })
  const args = [
    '--import=tsx',
    '--test',
    `--test-concurrency=${concurrency}`,
    '--test-timeout=1800000', // for what hangs, not for what is slow
    `--test-reporter=${join(root, 'scripts', 'lib', 'reporter.mjs')}`,
    ...files,
  ]
  return new Promise((resolve, reject) => {
    const child = endsWithUs(
      spawn(process.execPath, args, {
        cwd: root,
        env: { ...process.env, ...env },
        stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
      }),
    )
    let said = ''
    child.stdio[3].on('data', bytes => {
      said += bytes
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      const last = said.trim().split('\n').at(-1)
      if (!last)
        return reject(new Error(`the test runner ended ${signal ? `by ${signal}` : `with ${code}`} without a result`))
      const counts = JSON.parse(last)
      if (code !== 0 && counts.failed === 0) {
        counts.failed = 1
        counts.failures.push(`${files.length} test files: the runner ended with exit code ${code}`)
      }
      resolve(counts)
    })
  })
}
