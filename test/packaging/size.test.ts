import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { addonSize } from '../../scripts/lib/addon-size.mjs'
import { prebuild, root } from '../../scripts/lib/paths.mjs'

const MB = 1_000_000

/**
 * What the add-on may take when it is loaded, by the profile it was built with. A step over it is code that came in many
 * copies more often than code that does something: look at `nm --size-sort -C` of a release build first (docs/performance.md).
 */
const bounds: Record<string, number> = { dist: 17 * MB, release: 21 * MB }

test('the add-on is not larger than it has to be', t => {
  const size = addonSize(join(root, prebuild()))
  if (!size) return t.skip('not an ELF file: what is measured is the add-on for Linux')
  const { loaded, profile } = size
  if (profile === 'dev') return t.skip('a dev build is not what anyone is given')
  const most = bounds[profile] ?? 0
  const [is, may] = [loaded, most].map(bytes => (bytes / MB).toFixed(1))
  assert.ok(loaded <= most, `built with the profile ${profile} it is ${is} MB, and may be ${may} MB`)
})
