// Counts the instructions of the cases of native/micro with callgrind and compares them with bench/instructions.json.
// Counts do not depend on how busy the machine is, so that continuous integration can judge them. A case that takes more
// than 5 % more or less than its budget fails: whoever means it writes the new budget with --update, in the same commit.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root, target } from '../../scripts/lib/paths.mjs'
import { CommandError, run } from '../../scripts/lib/run.mjs'
import { available } from '../../scripts/lib/tools.mjs'

const file = join(root, 'bench', 'instructions.json')
const tolerance = 0.05

/** Counts and compares, or with `update` writes the budget. Returns the number of cases that passed and the failures. */
export async function instructions({ say, update = false }) {
  if (!(await available('valgrind', say))) throw new CommandError('valgrind is missing: it counts the instructions')
  say('building the cases whose instructions are counted (release profile)')
  const manifest = ['--manifest-path', join('native', 'Cargo.toml')]
  await run('cargo', ['build', '--locked', '--quiet', ...manifest, '-p', 'dohle-micro', '--release'])
  const counts = await countAll()
  const compiler = (await run('rustc', ['--version'], { capture: true })).trim()
  if (update) {
    writeFileSync(file, `${JSON.stringify({ compiler, perCall: counts }, null, 2)}\n`)
    say(`${Object.keys(counts).length} budgets are written`)
    return { passed: Object.keys(counts).length, failures: [] }
  }
  const result = compare(JSON.parse(readFileSync(file, 'utf8')), counts, compiler)
  for (const line of result.table) console.log(line)
  return result
}

/** What differs from the budget. Pure, so that a test can ask it. */
export function compare(budget, counts, compiler) {
  const failures = []
  const table = []
  const names = [...new Set([...Object.keys(budget.perCall), ...Object.keys(counts)])]
  for (const name of names) {
    const [meant, counted] = [budget.perCall[name], counts[name]]
    const change = (counted - meant) / meant
    const verdict =
      meant === undefined
        ? 'has no budget'
        : counted === undefined
          ? 'has a budget and is not there any more'
          : Math.abs(change) > tolerance
            ? `${counted.toLocaleString('en-US')} instructions, ${percent(change)} of the budget of ${meant.toLocaleString('en-US')}`
            : undefined
    if (verdict) failures.push(`${name}: ${verdict}`)
    const shown = [counted, meant].map(number => (number?.toLocaleString('en-US') ?? '–').padStart(12)).join(' of ')
    table.push(`  ${name.padEnd(20)}${shown}  ${verdict ? 'FAILED' : percent(change)}`)
  }
  if (failures.length > 0) {
    const other =
      compiler !== budget.compiler ? ` The budget was counted with ${budget.compiler}, this is ${compiler}.` : ''
    failures.push(
      `if this is meant: npm run bench -- instructions --update, and commit bench/instructions.json.${other}`,
    )
  }
  return { passed: names.length - Math.max(0, failures.length - 1), failures, table }
}

const percent = change => `${change >= 0 ? '+' : ''}${(change * 100).toFixed(1)} %`

async function countAll() {
  const program = join(target, 'release', 'dohle-micro')
  const names = (await run(program, ['--list'], { capture: true })).trim().split('\n')
  const place = mkdtempSync(join(tmpdir(), 'dohle-callgrind-'))
  const counts = {}
  const lane = async () => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      counts[name] = undefined // keeps the order of the list
      counts[name] = await count(program, name, join(place, name))
    }
  }
  try {
    await Promise.all([lane(), lane()])
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
  return counts
}

/** The instructions of one call, without what prepares it. */
async function count(program, name, out) {
  const collect = ['--collect-atstart=no', '--toggle-collect=*dohle_micro*measured*']
  await run('valgrind', ['--tool=callgrind', `--callgrind-out-file=${out}`, ...collect, program, name], {
    capture: true,
  })
  const counted = Number(/^(?:summary|totals): (\d+)/m.exec(readFileSync(out, 'utf8'))?.[1])
  if (!(counted > 0)) throw new CommandError(`callgrind counted nothing for ${name}`)
  return counted
}
