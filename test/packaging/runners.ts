/** Vitest and Jest, at the versions of `runners/package-lock.json`: installed without scripts, again when that file changes. */
import { existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../scripts/lib/paths.mjs'
import { run } from '../../scripts/lib/run.mjs'
import { built, hash, isCurrent } from '../../scripts/lib/stamp.mjs'

const place = join('test', 'packaging', 'runners')

/** Makes the runners those of the project at `folder`. */
export async function addRunners(folder: string): Promise<void> {
  await install()
  const from = join(root, place, 'node_modules')
  const to = join(folder, 'node_modules')
  for (const name of readdirSync(from).filter(name => !name.startsWith('.'))) {
    const names = name.startsWith('@') ? readdirSync(join(from, name)).map(inner => join(name, inner)) : [name]
    if (name.startsWith('@')) mkdirSync(join(to, name), { recursive: true })
    for (const one of names) if (!existsSync(join(to, one))) symlinkSync(join(from, one), join(to, one))
  }
}

async function install(): Promise<void> {
  const sum = hash([join(place, 'package.json'), join(place, 'package-lock.json')], [process.platform, process.arch])
  if (isCurrent('test-runners', sum, [join(place, 'node_modules', '.package-lock.json')])) return
  const args = ['ci', '--prefix', join(root, place), '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  await run('npm', args, { capture: true, cwd: join(root, place) })
  built('test-runners', sum)
}
