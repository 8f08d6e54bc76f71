// The Pythons of the benchmark: one with the wheel of this clone, one with aiokafka.

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { target } from '../../scripts/lib/paths.mjs'
import { run } from '../../scripts/lib/run.mjs'
import { pythonOf } from '../../scripts/lib/tools.mjs'
import { pythonWheel } from '../../scripts/python-wheel.mjs'

/** The python of an environment that has aiokafka, with what its codecs need. */
export const pythonPeer = say => pythonOf(['aiokafka==0.14.0', 'cramjam==2.14.0'], say)

let built

/** The python of an environment that has the wheel, built with the dist profile; `prebuilt`: as the last run has built it. */
export function pythonDohle({ say, prebuilt }) {
  built ??= environment(say, prebuilt)
  return built
}

async function environment(say, prebuilt) {
  const place = join(target, 'bench-python')
  const binary = join(place, 'bin', 'python')
  if (prebuilt) return binary
  const wheel = await pythonWheel(join(target, 'wheels'), { profile: 'dist', say })
  rmSync(place, { recursive: true, force: true })
  await run('python3', ['-m', 'venv', place], { capture: true })
  await run(binary, ['-m', 'pip', 'install', '-q', '--no-index', '--disable-pip-version-check', wheel], {
    capture: true,
  })
  return binary
}
