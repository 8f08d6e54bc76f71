// `npm run test:long`: what takes too long for every change. More seeds, more kills, a group whose members are killed, a log of 10 GB, a search for leaks, in each language too, the table of behaviour under valgrind, a soak.
//   --seeds N     seeds per simulation of the client's tests (default 500)
//   --simulations N  seeds of engine and three nodes together (default 5000)
//   --kills N     kill -9 of a real broker under load (default 10)
//   --program-kills N  kill -9 of the exactly-once example (default 50)
//   --rounds N    how often each of three real brokers is killed under load (default 5)
//   --minutes N   length of the soak (default 10)

import { parseArgs } from 'node:util'
import { build } from './build.mjs'
import { cargoTests } from './lib/cargo-tests.mjs'
import { endOnSignals } from './lib/children.mjs'
import { helped } from './lib/help.mjs'
import { supportedNode } from './lib/node.mjs'
import { nodeTests, testFiles } from './lib/node-tests.mjs'
import { missingTools, report } from './lib/tools.mjs'

const say = line => console.log(`test:long: ${line}`)

async function main() {
  if (helped(import.meta.url)) return 0
  supportedNode()
  endOnSignals()
  const option = value => ({ type: 'string', default: value })
  const { values } = parseArgs({
    options: {
      seeds: option('500'),
      simulations: option('5000'),
      kills: option('10'),
      'program-kills': option('50'),
      rounds: option('5'),
      minutes: option('10'),
    },
  })
  const missing = await missingTools(say)
  report(missing, say)
  if (missing.length > 0) throw new Error('these tests leave nothing out')
  await build(say)
  say(`simulations with ${values.seeds} seeds, and with ${values.simulations} of three nodes`)
  process.env.SIM_SEEDS = values.seeds
  process.env.SIMULATE_SEEDS = values.simulations
  process.env.ORACLE_ROUNDS = '100'
  process.env.FUZZ_SESSIONS = values.seeds
  const rust = await cargoTests(['--workspace', '--', '--include-ignored'])
  say(
    `${values['program-kills']} kills of a program, ${values.kills} of a broker under load, ${values.rounds} rounds of three, then a soak of ${values.minutes} minutes`,
  )
  const killing = [
    'test/integration/exactly-once.test.ts',
    'test/integration/restart.test.ts',
    'test/integration/log-dir.test.ts',
    'test/integration/three-brokers.test.ts',
    'test/integration/three-nodes.test.ts',
    'test/never-silent.test.ts',
  ]
  const node = await nodeTests([...killing, ...testFiles('test/long')], {
    env: {
      DOHLE_KILLS: values.kills,
      DOHLE_PROGRAM_KILLS: values['program-kills'],
      DOHLE_CLUSTER_ROUNDS: values.rounds,
      DOHLE_RECORDS_PER_ROUND: '20000',
      DOHLE_SOAK_SECONDS: String(Number(values.minutes) * 60),
      DOHLE_CHURN_SECONDS: '120',
      DOHLE_LEAK_SECONDS: '120',
      DOHLE_LANGUAGE_SECONDS: '300',
      DOHLE_SILENCE_SECONDS: '300',
      DOHLE_TEST_VERBOSE: '1',
    },
  })
  for (const failure of [...rust.failures, ...node.failures]) console.log(`  FAILED  ${failure}`)
  console.log(`${rust.passed + node.passed} passed, ${rust.failed + node.failed} failed`)
  return rust.failed + node.failed > 0 ? 1 : 0
}

main().then(
  code => {
    process.exitCode = code
  },
  error => {
    console.error(`test:long: ${error.message}`)
    process.exitCode = 1
  },
)
