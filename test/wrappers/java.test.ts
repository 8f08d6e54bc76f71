import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { java, javaJar, maven } from '../../scripts/java-jar.mjs'
import { jars, javaCommand } from '../../scripts/kafka.mjs'
import { run } from '../../scripts/lib/run.mjs'
import { jre25 } from '../../scripts/lib/tools.mjs'

let jar: string
let folder: string

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'dohle-java-'))
  jar = await javaJar({ profile: 'dev', docs: true })
})

after(() => rmSync(folder, { recursive: true, force: true }))

const said = (command: string, ...args: string[]): Promise<string> => run(command, args, { capture: true, cwd: folder })

/** The results that Maven has written: each test by its name, and what it said if it has failed. */
function results(reports: string): { name: string; failure: string | undefined }[] {
  const files = readdirSync(reports).filter(name => name.endsWith('.xml'))
  return files.flatMap(file => {
    const xml = readFileSync(join(reports, file), 'utf8')
    const cases = [...xml.matchAll(/<testcase name="(.*?)" classname="(.*?)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g)]
    return cases.map(([, name, of, inside]) => ({
      name: `${of}.${name}`,
      failure: /<(failure|error|skipped)/.test(inside ?? '') ? inside : undefined,
    }))
  })
}

/** Runs the wrapper's own tests with a Java; each of them is a test here. */
for (const [version, jvm] of [
  [17, undefined],
  [25, jre25],
] as const) {
  test(`the tests of the wrapper, on Java ${version}`, async context => {
    const reports = join(folder, `reports-${version}`)
    const where = [`-Dreports=${reports}`, '-Dmaven.test.failure.ignore=true']
    await maven('test', ...where, ...(jvm ? [`-Djvm=${await jvm(console.error)}`] : []))
    const all = results(reports)
    assert.ok(all.length > 35, `${all.length} tests`)
    for (const { name, failure } of all) await context.test(name, () => assert.equal(failure, undefined))
  })
}

test('the jar has classes, the native part, the licence and a module name, and needs nothing else', async () => {
  const names = (await said('jar', '--list', '--file', jar)).split('\n')
  for (const name of ['io/dohle/KafkaProducer.class', 'META-INF/LICENSE', 'META-INF/NOTICE']) {
    assert.ok(names.includes(name), name)
  }
  assert.equal(names.filter(name => /^natives\/[\w-]+\/(lib)?dohle_java\.\w+$/.test(name)).length, 1)
  assert.match(await said('jar', '--describe-module', '--file', jar), /^io\.dohle@[\d.]+ automatic/m)
  const needs = await said('jdeps', '--print-module-deps', '--ignore-missing-deps', jar)
  assert.equal(needs.trim(), 'java.base')
})

test('options have the constants that kafka-clients has for them', async () => {
  const program = join(import.meta.dirname, 'java', 'Names.java')
  assert.equal(await said(javaCommand, '-cp', `${await jars()}/*:${jar}`, program), '')
})

test('the code of README compiles and runs as pasted', async () => {
  const readme = readFileSync(join(java, 'README.md'), 'utf8')
  const [, code] = /```java\n([\s\S]*?)```/.exec(readme)!
  writeFileSync(join(folder, 'Example.java'), code!)
  await said('javac', '-Xlint:all', '-Werror', '-cp', jar, 'Example.java')
  assert.equal(await said('java', '-cp', `${jar}:.`, 'Example'), 'orders-0@0 key=value\n')
  const allowed = '--enable-native-access=ALL-UNNAMED'
  assert.equal(await said(await jre25(console.error), allowed, '-cp', `${jar}:.`, 'Example'), 'orders-0@0 key=value\n')
})
