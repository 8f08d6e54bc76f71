// Installs the clients of bench/peers/package.json, without their install scripts, into bench/peers/node_modules.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../scripts/lib/paths.mjs'
import { run } from '../../scripts/lib/run.mjs'
import { built, hash, isCurrent } from '../../scripts/lib/stamp.mjs'

const place = join('bench', 'peers')
let running

/** The folder of the modules; installed when the lock file is not the one they were installed from. */
export function npmPeers(say) {
  running ??= install(say)
  return running
}

async function install(say) {
  const sum = hash([join(place, 'package.json'), join(place, 'package-lock.json')], [process.platform, process.arch])
  const modules = join(root, place, 'node_modules')
  if (isCurrent('bench-peers', sum, [join(place, 'node_modules', '.package-lock.json')])) return modules
  say('installing the Node.js clients to compare with')
  const args = ['ci', '--prefix', join(root, place), '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  await run('npm', args, { capture: true, cwd: join(root, place) })
  if (!existsSync(modules)) throw new Error('npm installed nothing')
  built('bench-peers', sum)
  return modules
}
