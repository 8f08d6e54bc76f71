// `npm run check`: everything that can be said about the sources without running the program. The same in CI.
// Runs all checks even when one fails, then names the failed ones.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { packages, typescript } from './build.mjs'
import { helped } from './lib/help.mjs'
import { supportedNode } from './lib/node.mjs'
import { root } from './lib/paths.mjs'
import { answers, run } from './lib/run.mjs'

const say = line => console.error(`check: ${line}`)
const tool = (name, ...path) => [process.execPath, join(root, 'node_modules', name, ...path)]
const cargo = (...args) => run('cargo', args, { cwd: join(root, 'native') })

const checks = {
  'lint and format (TypeScript, JSON)': () =>
    node(tool('@biomejs/biome', 'bin', 'biome'), 'check', '--error-on-warnings'),
  'types (TypeScript)': async () => {
    await typescript(say)
    await node(tool('typescript', 'bin', 'tsc'), '-p', 'tsconfig.json')
  },
  'format (Rust)': () => cargo('fmt', '--all', '--check'),
  'lint (Rust)': () => cargo('clippy', '--locked', '--workspace', '--all-targets', '--quiet', '--', '-D', 'warnings'),
  'generated code is current': () => cargo('run', '--locked', '--quiet', '-p', 'xtask', '--', 'codegen', '--verify'),
  'dependencies: direction, licences, sources': dependencies,
}

const node = ([program, script], ...args) => run(program, [script, ...args])

/** Our own check always; cargo-deny with the same table (deny.toml) where it is installed. */
async function dependencies() {
  await cargo('run', '--locked', '--quiet', '-p', 'xtask', '--', 'dependencies')
  if (!(await answers('cargo-deny'))) return say('cargo-deny is not installed: advisories are not looked up')
  const advisories = existsSync(join(process.env.CARGO_HOME ?? join(process.env.HOME ?? '', '.cargo'), 'advisory-dbs'))
  const what = ['licenses', 'bans', 'sources', ...(advisories ? ['advisories'] : [])]
  await cargo('deny', '--offline', 'check', '--config', join(root, 'deny.toml'), ...what)
}

async function main() {
  if (helped(import.meta.url)) return 0
  supportedNode()
  await packages(say)
  const failed = []
  for (const [name, check] of Object.entries(checks)) {
    say(name)
    try {
      await check()
    } catch (error) {
      say(`FAILED: ${name}: ${error.message}`)
      failed.push(name)
    }
  }
  say(failed.length === 0 ? `${Object.keys(checks).length} checks passed` : `failed: ${failed.join('; ')}`)
  process.exitCode = failed.length === 0 ? 0 : 1
}

main().catch(error => {
  say(error.message)
  process.exitCode = 1
})
