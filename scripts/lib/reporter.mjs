// A reporter for node:test that prints one line per file and the whole story of each failure, and ends with the counts as
// one line of JSON on file descriptor 3. Used by test.mjs only.

import { writeSync } from 'node:fs'
import { relative } from 'node:path'
import { inspect } from 'node:util'
import { root } from './paths.mjs'

// biome-ignore lint/style/noDefaultExport: the form in which node:test takes a reporter
export default async function* reporter(source) {
  const counts = { passed: 0, failed: 0, skipped: 0, failures: [] }
  const verbose = process.env.DOHLE_TEST_VERBOSE === '1'
  const around = [] // names of the suites and tests that the current one is in
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      around.length = data.nesting
      around.push(data.name)
    }
    if (type === 'test:stdout' || type === 'test:stderr') {
      yield data.message
      continue
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.details?.type === 'suite') continue
    const file = data.file ? relative(root, data.file) : ''
    const name = [...around.slice(0, data.nesting), data.name].join(' › ')
    // A file that runs in a process of its own is reported like a test; what is inside it counts, unless it broke as a whole.
    if (data.nesting === 0 && data.name === data.file && type === 'test:pass') continue
    if (data.skip !== undefined && data.skip !== false) {
      counts.skipped++
      yield `  skipped  ${file}: ${name}${typeof data.skip === 'string' && data.skip ? ` (${data.skip})` : ''}\n`
    } else if (type === 'test:pass') {
      counts.passed++
      const slow = data.details.duration_ms > 5_000
      if (verbose || slow) yield `  ok       ${file}: ${name} (${Math.round(data.details.duration_ms)} ms)\n`
    } else if (data.todo === undefined || data.todo === false) {
      if (data.details.error?.failureType === 'subtestsFailed') continue
      counts.failed++
      counts.failures.push(`${file}: ${name}`)
      yield `  FAILED   ${file}: ${name}\n${indent(story(data.details.error))}\n`
    }
  }
  writeSync(3, `${JSON.stringify(counts)}\n`)
}

function story(error) {
  const cause = error?.cause ?? error
  return cause instanceof Error ? inspect(cause, { depth: 4 }) : String(cause)
}

const indent = text => text.replaceAll(/^/gm, '           ')
