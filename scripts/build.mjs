// Brings a clone up to date: npm packages, the native add-on, the TypeScript. Does only what changed, and says what it does.
//   node scripts/build.mjs [--profile release|dev|dist] [--quiet]

import { copyFileSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { prebuild, root, target } from './lib/paths.mjs'
import { run } from './lib/run.mjs'
import { built, hash, isCurrent } from './lib/stamp.mjs'

/** Installs the npm packages when the lock file is not the one they were installed from. */
export async function packages(say) {
  const sum = hash(['package.json', 'package-lock.json'], [process.platform, process.arch])
  if (isCurrent('packages', sum, ['node_modules/.package-lock.json'])) return
  say('installing npm packages')
  await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
  built('packages', sum)
}

/** Builds the native add-on when its sources changed, and puts it where the package has it. */
export async function addon(say, profile = 'release') {
  const crates = ['protocol', 'security', 'client', 'broker', 'bridge', 'node', 'Cargo.toml', 'Cargo.lock']
  const rustc = await run('rustc', ['-vV'], { capture: true })
  const sum = hash(
    crates.map(name => join('native', name)),
    [rustc, profile],
    { skip: /(^|\/)(target|tests|benches|fuzz)(\/|$)/ },
  )
  if (isCurrent('addon', sum, [prebuild()])) return
  say(`building the native add-on (${profile} profile; the first time takes a few minutes)`)
  await run('cargo', [
    'build',
    '--locked',
    '--manifest-path',
    'native/Cargo.toml',
    '-p',
    'dohle-node',
    '--profile',
    profile,
  ])
  const library = { darwin: 'libdohle_node.dylib', win32: 'dohle_node.dll' }[process.platform] ?? 'libdohle_node.so'
  const place = join(root, prebuild())
  mkdirSync(dirname(place), { recursive: true })
  // Renamed into place: a process that has the old file mapped keeps it whole.
  copyFileSync(join(target, profile === 'dev' ? 'debug' : profile, library), `${place}.new`)
  renameSync(`${place}.new`, place)
  built('addon', sum)
}

/** Compiles the TypeScript when it changed. */
export async function typescript(say) {
  const sum = hash(['ts', 'tsconfig.base.json', 'tsconfig.build.json', 'package-lock.json'])
  if (isCurrent('typescript', sum, ['dist/index.js'])) return
  say('compiling the TypeScript')
  rmSync(join(root, 'dist'), { recursive: true, force: true })
  await run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json'])
  built('typescript', sum)
}

/** All three, in the order in which they need each other. */
export async function build(say, profile) {
  await packages(say)
  await addon(say, profile)
  await typescript(say)
}

if (process.argv[1] === join(root, 'scripts', 'build.mjs')) {
  const { values } = parseArgs({
    options: { profile: { type: 'string', default: 'release' }, quiet: { type: 'boolean' } },
  })
  try {
    await build(line => values.quiet || console.error(`build: ${line}`), values.profile)
    if (!values.quiet) console.error(`build: up to date (${prebuild()}, dist/)`)
  } catch (error) {
    console.error(`build: ${error.message}`)
    process.exitCode = 1
  }
}
