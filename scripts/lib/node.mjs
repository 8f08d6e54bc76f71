// Which Node runs this, and further Node versions for the tests, from the npm registry.

import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { cache } from './paths.mjs'
import { run } from './run.mjs'

/** Throws on a Node older than the package supports. */
export function supportedNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Error(`Node ${process.versions.node} is too old: 20.19 or newer is needed`)
  }
}

/** The path of a Node of this version, fetched once per machine into the cache folder. */
export async function node(version, say = () => {}) {
  const name = `node-${process.platform}-${process.arch}`
  const dir = join(cache, `node-${version}`)
  const binary = join(dir, 'node_modules', name, 'bin', 'node')
  if (existsSync(binary)) return binary
  say(`fetching Node ${version}`)
  mkdirSync(dir, { recursive: true })
  const args = [
    'install',
    '--prefix',
    dir,
    '--no-save',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]
  await run('npm', [...args, `${name}@${version}`], { cwd: dir, capture: true })
  return binary
}
