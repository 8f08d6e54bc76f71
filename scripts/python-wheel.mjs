// Builds the Python wheel: one for CPython 3.11 and every later one (abi3).
//   node scripts/python-wheel.mjs [--out DIR] [--profile release|dev|dist] [--portable]     DIR: dist-python by default
//   --portable: for other machines; fails when the library needs more of the system than the wheel's tag (manylinux) says
//
//   python3 -m venv somewhere && somewhere/bin/pip install DIR/dohle-*.whl

import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { helped } from './lib/help.mjs'
import { root } from './lib/paths.mjs'
import { run } from './lib/run.mjs'
import { maturin } from './lib/tools.mjs'

/** Builds the wheel with `profile` into `out`, in place of those there. Returns its path. */
export async function pythonWheel(out, { profile = 'release', portable = false, say = () => {} } = {}) {
  const builder = await maturin(say)
  say(`building the Python wheel (${profile} profile)`)
  mkdirSync(out, { recursive: true })
  for (const old of wheels(out)) rmSync(old)
  const args = ['build', '--profile', profile, '--out', out, '--interpreter', 'python3', '--quiet']
  if (!portable) args.push('--auditwheel', 'skip')
  await run(builder, args, { capture: true, cwd: join(root, 'wrappers', 'python') })
  return wheels(out)[0]
}

const wheels = folder =>
  readdirSync(folder)
    .filter(name => /^dohle-.*\.whl$/.test(name))
    .map(name => join(folder, name))

if (process.argv[1] === join(root, 'scripts', 'python-wheel.mjs') && !helped(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: 'dist-python' },
      profile: { type: 'string', default: 'release' },
      portable: { type: 'boolean', default: false },
    },
  })
  const say = line => console.error(`python-wheel: ${line}`)
  say(await pythonWheel(resolve(values.out), { profile: values.profile, portable: values.portable, say }))
}
