/** Every public symbol says what it is: what the compiled declarations show to an editor has a doc comment. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../../scripts/lib/paths.mjs'

/** The names that an entry exports, with the file that declares each. */
function exported(entry: string): Map<string, string> {
  const names = new Map<string, string>()
  const text = readFileSync(join(root, 'dist', entry), 'utf8')
  for (const [, list, file] of text.matchAll(/export (?:type )?\{([^}]*)\} from '([^']+)'/g)) {
    const path = join(entry, '..', file!.replace(/\.(js|ts)$/, '.d.ts'))
    for (const one of list!.split(',')) names.set(one.replace(/\btype\b/, '').trim(), path)
  }
  for (const [, file] of text.matchAll(/^export (?:type )?\* from '([^']+)'/gm)) {
    const path = join(entry, '..', file!.replace(/\.(js|ts)$/, '.d.ts'))
    for (const [name, of] of exported(path)) names.set(name, of)
  }
  for (const [, name] of text.matchAll(
    /^export (?:declare |abstract )*(?:class|interface|type|const|function) (\w+)/gm,
  ))
    names.set(name!, entry)
  names.delete('')
  return names
}

/** The undocumented declarations among those of `name`: itself and its members. */
function undocumented(name: string, file: string): string[] {
  const lines = readFileSync(join(root, 'dist', file), 'utf8').split('\n')
  const declaration = new RegExp(`^export (declare |abstract )*(class|interface|type|const|function) ${name}\\b`)
  const start = lines.findIndex(line => declaration.test(line))
  assert.ok(start >= 0, `${name} is not in ${file}`)
  const documented = (at: number) => /\*\/\s*$/.test(lines[at - 1] ?? '')
  const missing = documented(start) ? [] : [name]
  if (!/\b(class|interface)\b/.test(lines[start]!)) return missing
  for (let at = start + 1; at < lines.length && lines[at] !== '}'; at++) {
    const [, member] = /^ {4}(?:readonly |static |override |get |async )*([\w[\].]+)[?(<:]/.exec(lines[at]!) ?? []
    if (member === undefined || /^ {4}(private|protected|#)/.test(lines[at]!) || member === 'constructor') continue
    if (!documented(at)) missing.push(`${name}.${member}`)
  }
  return missing
}

for (const entry of ['index.d.ts', 'broker.d.ts', 'kafkajs/index.d.ts']) {
  test(`every symbol of ${entry} and every member of it has a doc comment`, () => {
    const names = exported(entry)
    assert.ok(names.size > 5, `${names.size} symbols found`)
    const missing = [...names].flatMap(([name, file]) => undocumented(name, file))
    assert.deepEqual(missing, [])
  })
}

test('a symbol without a doc comment is found', () => {
  const names = exported('index.d.ts')
  assert.ok(names.has('Kafka') && names.has('Consumer') && names.has('CreateTopicsOptions'))
  const text = readFileSync(join(root, 'dist', 'consumer.d.ts'), 'utf8')
  assert.match(text, /^ {4}seek\(/m, 'members are indented by four')
})

test('what admin operations take and give can be named', () => {
  const names = exported('index.d.ts')
  const text = readFileSync(join(root, 'dist', 'generated', 'operations.d.ts'), 'utf8')
  const types = new Map(
    [...text.matchAll(/^export (?:interface|type) (\w+)([\s\S]*?)(?=^\/\*\*|$(?![\s\S]))/gm)].map(([, name, body]) => [
      name!,
      body!,
    ]),
  )
  const used = new Set<string>()
  const walk = (name: string) => {
    if (used.has(name) || !types.has(name)) return
    used.add(name)
    for (const [inner] of types.get(name)!.matchAll(/\b[A-Z]\w+\b/g)) walk(inner)
  }
  const methods = text
    .slice(text.indexOf('class AdminOperations'))
    .matchAll(/^ {4}\w+\(([^)]*)\): Promise<([^;]*)>;$/gm)
  let count = 0
  for (const [, takes, gives] of methods) {
    count++
    for (const [name] of `${takes} ${gives}`.matchAll(/\b[A-Z]\w+\b/g)) walk(name)
  }
  assert.ok(count > 45 && used.size > 80, `${count} operations, ${used.size} types`)
  assert.deepEqual(
    [...used].filter(name => !names.has(name)),
    [],
  )
})
