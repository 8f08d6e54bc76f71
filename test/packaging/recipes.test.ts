/** The recipes of docs/embedded-broker.md, in a project with the packed package, each run as it says, with two files at a time. */
import assert from 'node:assert/strict'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { root } from '../../scripts/lib/paths.mjs'
import { execute, nodeBinary, nodeVersions, type Outcome, type Project, project } from './project.ts'
import { addRunners } from './runners.ts'

const text = readFileSync(join(root, 'docs', 'embedded-broker.md'), 'utf8')
const [, section = ''] = /^## In your tests\n([\s\S]*?)^## /m.exec(text) ?? []
const files = [...section.matchAll(/^```js\n\/\/ (\S+)\n([\s\S]*?)^```$/gm)]
const tests = files.map(([, name]) => name as string).filter(name => /^shipping\.\w+\.js$/.test(name))
const [, jest = ''] = /^```sh\nnode (.*jest\S*)\n```$/m.exec(section) ?? []

/** Nothing of ours keeps a process alive. */
const unclosed = /did not exit|force.?exit|something prevents|hanging/i

let installed: Project
let node: string
before(async () => {
  installed = await project()
  await addRunners(installed.folder)
  const [version, variable] = nodeVersions.at(-1) as (typeof nodeVersions)[number]
  node = await nodeBinary(version, variable)
  writeFileSync(join(installed.folder, 'package.json'), '{ "private": true, "type": "module" }\n')
  for (const [, name, program] of files) writeFileSync(join(installed.folder, name as string), program as string)
  for (const name of tests)
    copyFileSync(join(installed.folder, name), join(installed.folder, name.replace('shipping', 'again')))
})
after(() => installed?.remove())

/** How many tests the two files of a runner have. */
const expected = (name: string): number => {
  const [, , program = ''] = files.find(([, file]) => file === name) ?? []
  const count = [...program.matchAll(/^test\(/gm)].length
  assert.ok(count > 0, name)
  return 2 * count
}

async function ran(args: readonly string[]): Promise<Outcome> {
  const outcome = await execute(node, args, installed.folder, {
    FORCE_COLOR: '0',
    NODE_OPTIONS: '',
    NODE_TEST_CONTEXT: undefined,
  })
  const told = `${args.join(' ')}: exit code ${outcome.code}\n${outcome.stdout}${outcome.stderr}`
  assert.equal(outcome.code, 0, told)
  assert.doesNotMatch(outcome.stdout + outcome.stderr, unclosed, told)
  return outcome
}

test('there is a recipe for each runner', () => {
  assert.deepEqual(tests, ['shipping.test.js', 'shipping.vitest.js', 'shipping.jest.js'])
})

describe('node:test', () => {
  for (const isolation of ['process', 'none']) {
    test(`isolation: ${isolation}`, async () => {
      const { stdout } = await ran(['--test', '--test-reporter=tap', `--test-isolation=${isolation}`])
      assert.match(stdout, new RegExp(`^# pass ${expected('shipping.test.js')}$`, 'm'))
      assert.match(stdout, /^# fail 0$/m)
    })
  }
})

describe('Vitest', () => {
  for (const options of [
    ['--pool=forks'],
    ['--pool=threads'],
    ['--pool=threads', '--no-isolate', '--maxWorkers=1'],
    ['--pool=vmThreads'],
  ]) {
    test(options.join(' '), async () => {
      const report = ['--reporter=json', '--outputFile=report.json']
      await ran(['node_modules/vitest/vitest.mjs', 'run', ...report, ...options])
      const { success, numPassedTests } = JSON.parse(readFileSync(join(installed.folder, 'report.json'), 'utf8'))
      assert.deepEqual({ success, numPassedTests }, { success: true, numPassedTests: expected('shipping.vitest.js') })
    })
  }
})

describe('Jest', () => {
  for (const options of [['--detectOpenHandles'], ['--maxWorkers=2'], ['--maxWorkers=2', '--workerThreads']]) {
    test(options.join(' '), async () => {
      const { stdout } = await ran([...jest.split(' '), '--json', ...options])
      const { success, numPassedTests, openHandles } = JSON.parse(stdout.slice(stdout.indexOf('{')))
      assert.deepEqual({ success, numPassedTests }, { success: true, numPassedTests: expected('shipping.jest.js') })
      // The way from the engine to JavaScript, one in each file: it keeps nothing alive, which Jest cannot see of it.
      const others = openHandles.filter((handle: Error) => handle.message !== 'napi_rs_threadsafe_function')
      assert.deepEqual(others, [])
    })
  }
})
