// `npm test`: all set-up, then all tests. Ends with a table and a closing line "N passed, N failed".
//   npm test                        everything
//   npm test -- rust unit           only these parts: rust, unit, integration, strangers, wrappers, packaging, bench
//   npm test -- integration WORD    only the test files whose name has WORD

import { join } from 'node:path'
import { instructions } from '../bench/lib/instructions.mjs'
import { build } from './build.mjs'
import { jars, KafkaServer } from './kafka.mjs'
import { cargoTests } from './lib/cargo-tests.mjs'
import { endOnSignals } from './lib/children.mjs'
import { edge } from './lib/edges.mjs'
import { helped } from './lib/help.mjs'
import { node, supportedNode } from './lib/node.mjs'
import { nodeTests, testFiles } from './lib/node-tests.mjs'
import { ci, root, target } from './lib/paths.mjs'
import { missingTools, python, report } from './lib/tools.mjs'
import { pythonWheel } from './python-wheel.mjs'

const say = line => console.log(`npm test: ${line}`)

/** Versions of Node on which the examples and the package must run, beside the one that runs this. */
const nodes = { DOHLE_NODE_20: '20.19.6', DOHLE_NODE_22: '22.23.3', DOHLE_NODE_24: '24.21.0' }

/** Modules of the Rust tests that do nothing without a real Kafka: counted where they have one. */
const needsKafka = ['real::', 'mixed::']

const parts = {
  rust: {
    title: 'Rust (cargo test)',
    needs: ['cargo'],
    run: () => cargoTests(['--workspace', '--', ...needsKafka.map(name => `--skip=${name}`)]),
  },
  unit: {
    title: 'TypeScript units',
    needs: ['cargo'],
    run: words =>
      nodeTests(
        matching(testFiles('test', ['integration', 'strangers', 'packaging', 'long', 'bench', 'wrappers']), words),
        {
          concurrency: 2,
        },
      ),
  },
  integration: {
    title: 'with real Apache Kafka',
    needs: ['cargo', 'java', 'mvn', 'python3', 'kcat'],
    run: words =>
      withKafka(async env => {
        const rust = await rustWithKafka(words, env)
        const [node] = await Promise.all([nodeWithKafka(words, env), words.length === 0 && compileEdges()])
        return total(rust, node)
      }),
  },
  strangers: {
    title: "other people's clients",
    needs: ['cargo', 'java', 'mvn'],
    run: words => nodeTests(matching(testFiles('test/strangers'), words)),
  },
  wrappers: {
    title: 'other languages',
    needs: ['cargo', 'cc', 'c++', 'pkg-config', 'valgrind', 'java', 'mvn', 'python3'],
    run: words => nodeTests(matching(testFiles('test/wrappers'), words), { concurrency: 1 }),
  },
  packaging: {
    title: 'package, README, examples',
    needs: ['cargo'],
    run: async words => nodeTests(matching(testFiles('test/packaging'), words), { env: await otherNodes() }),
  },
  bench: {
    title: 'benchmark: smoke, instructions',
    needs: ['cargo', 'valgrind'],
    run: async words =>
      total(await instructionBudget(words), await nodeTests(matching(testFiles('test/bench'), words))),
  },
}

/** Each case of native/micro counts as a test: it stays within its budget of instructions. */
async function instructionBudget(words) {
  if (words.length > 0 && !words.includes('instructions')) return none
  const { passed, failures } = await instructions({ say })
  return { passed, failed: failures.length, skipped: 0, failures }
}

/** Compiles what the wrappers' tests want, while tests with Kafka mostly wait. What fails is told where it is wanted. */
async function compileEdges() {
  const quietly = building => building.catch(() => {})
  for (const crate of ['dohle-ffi', 'dohle-java']) await quietly(edge(crate, { capture: true }))
  await quietly(pythonWheel(join(target, 'wheels-dev'), { profile: 'dev' }))
}

const nodeWithKafka = (words, env) => nodeTests(matching(testFiles('test/integration'), words), { env })

/** The engine's own tests of producer and consumer, on the real broker instead of the embedded one. */
async function rustWithKafka(words, { DOHLE_KAFKA }) {
  if (words.length > 0) return none
  const env = { DOHLE_TEST_BROKERS: DOHLE_KAFKA, DOHLE_TEST_KAFKA_JARS: await jars(say) }
  // Of the whole workspace, with which they are compiled already.
  const consumer = await cargoTests(['--workspace', '--test', 'consumer'], env)
  const others = await cargoTests(['--workspace', '--test', 'producer', '--test', 'transactions', 'real::'], env)
  return total(consumer, others)
}

const none = { passed: 0, failed: 0, skipped: 0, failures: [] }

const total = (one, other) => ({
  passed: one.passed + other.passed,
  failed: one.failed + other.failed,
  skipped: one.skipped + other.skipped,
  failures: [...one.failures, ...other.failures],
})

const matching = (files, words) => files.filter(file => words.length === 0 || words.some(word => file.includes(word)))

/** Runs `job` with one real Kafka for all of its tests; keeps the broker's log when something failed. */
async function withKafka(job) {
  const interpreter = await python(say)
  say('starting Apache Kafka')
  const kafka = await KafkaServer.start({ say })
  let counts
  try {
    counts = await job({ DOHLE_KAFKA: kafka.bootstrap, DOHLE_PYTHON: interpreter })
    return counts
  } finally {
    const keep = counts === undefined || counts.failed > 0
    await kafka.stop({ keep })
    if (keep) say(`Kafka's log is kept: ${kafka.log}`)
  }
}

async function otherNodes() {
  const env = {}
  for (const [name, version] of Object.entries(nodes)) env[name] = await node(version, say)
  return env
}

async function main(args) {
  if (helped(import.meta.url)) return 0
  supportedNode()
  endOnSignals()
  const chosen = args.filter(arg => arg in parts)
  const words = args.filter(arg => !(arg in parts))
  const stray = words.find(word => !testFiles('test').some(file => file.includes(word)))
  if (stray !== undefined)
    throw new Error(`no part and no test file is called ${stray}; --help tells what can be named`)
  const missing = await missingTools(say)
  report(missing, say)
  await build(say)
  const rows = []
  for (const name of chosen.length > 0 ? chosen : Object.keys(parts)) {
    const { title, needs, run } = parts[name]
    const lacking = needs.filter(tool => missing.some(other => other.name === tool))
    if (lacking.length > 0) {
      rows.push({
        title,
        passed: 0,
        failed: 0,
        skipped: 0,
        failures: [],
        note: `not run: ${lacking.join(', ')} missing`,
      })
      continue
    }
    say(title)
    const begun = Date.now()
    let counts
    try {
      counts = await run(words)
    } catch (error) {
      console.error(error.message)
      counts = { passed: 0, failed: 1, skipped: 0, failures: [`${title}: ${error.message.split('\n')[0]}`] }
    }
    rows.push({ title, ...counts, note: `${Math.round((Date.now() - begun) / 1000)} s` })
  }
  return summary(rows)
}

function summary(rows) {
  const sum = field => rows.reduce((total, row) => total + row[field], 0)
  console.log('')
  for (const { title, passed, failed, skipped, note } of rows) {
    const counts = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
    console.log(`  ${title.padEnd(32)}${counts.padEnd(36)}${note}`)
  }
  for (const row of rows) for (const failure of row.failures) console.log(`  FAILED  ${failure}`)
  const skipped = sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : ''
  console.log(`\n${sum('passed')} passed, ${sum('failed')} failed${skipped}`)
  // In CI nothing may be left out silently.
  const nothing = ci && rows.some(row => row.passed === 0)
  if (nothing) console.log('a part without a single passed test is a failure')
  return sum('failed') > 0 || nothing ? 1 : 0
}

if (process.argv[1] === join(root, 'scripts', 'test.mjs')) {
  main(process.argv.slice(2)).then(
    code => {
      process.exitCode = code
    },
    error => {
      console.error(`npm test: ${error.message}`)
      process.exitCode = 1
    },
  )
}
