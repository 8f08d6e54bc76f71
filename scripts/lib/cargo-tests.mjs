// Runs `cargo test` and returns the counts it prints, summed over all test binaries.

import { spawn } from 'node:child_process'
import { endsWithUs } from './children.mjs'
import { root, target } from './paths.mjs'

/** `args`: which tests, as `cargo test` takes it; all of the workspace by default. `env`: beside that of this process. */
export function cargoTests(args = ['--workspace'], env = {}) {
  const child = endsWithUs(
    spawn('cargo', ['test', '--locked', '--no-fail-fast', '--color=never', ...args], {
      cwd: `${root}/native`,
      env: { ...process.env, CARGO_TARGET_DIR: target, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  )
  const counts = { passed: 0, failed: 0, skipped: 0, failures: [] }
  let rest = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', text => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    for (const line of lines) take(line, counts)
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => {
      if (code !== 0 && counts.failed === 0) {
        counts.failed = 1
        counts.failures.push(`cargo test ended with exit code ${code}`)
      }
      resolve(counts)
    })
  })
}

/** Counts a line; passes on what a person wants to see. */
function take(line, counts) {
  const result = /^test result: .*? (\d+) passed; (\d+) failed; (\d+) ignored/.exec(line)
  if (result) {
    counts.passed += Number(result[1])
    counts.failed += Number(result[2])
    counts.skipped += Number(result[3])
    return
  }
  const failed = /^test (.*) \.\.\. FAILED/.exec(line)
  if (failed) counts.failures.push(failed[1])
  if (/^test .* \.\.\. (ok|ignored.*)$/.test(line) || /^running \d+ tests?$/.test(line) || line === '') return
  console.log(line)
}
