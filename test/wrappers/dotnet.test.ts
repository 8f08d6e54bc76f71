import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { described, filesOf, rid } from '../../scripts/dotnet-package.mjs'
import { root } from '../../scripts/lib/paths.mjs'
import { type CommandError, run } from '../../scripts/lib/run.mjs'
import { DotnetPrograms, offered } from './dotnet/programs.ts'

const wrapper = join(root, 'wrappers', 'dotnet')
const options = { skip: !offered && 'the C# compiler of the tests is for x86-64 Linux' }
let programs: DotnetPrograms

before(async () => {
  if (offered) programs = await DotnetPrograms.start()
})

after(() => programs?.end())

test('the unit tests pass', options, async t => {
  const assembly = await programs.compiled('unit', filesOf(join(wrapper, 'tests'), '.cs'), { tests: true })
  const said: string = await programs.tools
    .tests(assembly, process.env.DOHLE_DOTNET_TESTS)
    .catch((error: CommandError) => error.output)
  const lines = said.split('\n')
  const starts = lines.flatMap((line, at) => (/^(ok|not ok|skipped) /.test(line) ? [at] : []))
  for (const [place, at] of starts.entries()) {
    const [line, ...rest] = lines.slice(at, starts[place + 1])
    await t.test(
      line!
        .replace(/^(ok|not ok|skipped) /, '')
        .replace(/ \(\d+ ms\)$/, '')
        .replaceAll('_', ' '),
      () => {
        assert.ok(line!.startsWith('ok '), rest.join('\n'))
      },
    )
  }
  assert.match(said, /\n[1-9]\d* passed, 0 failed, 0 skipped\n$/)
})

test('the package has the layout of NuGet, and its zip file is sound', options, async () => {
  const names: string = await run('python3', ['-m', 'zipfile', '-l', programs.made.package], { capture: true })
  await run('python3', ['-m', 'zipfile', '-t', programs.made.package], { capture: true })
  const { id } = described()
  for (const name of [
    '[Content_Types].xml',
    '_rels/.rels',
    `${id}.nuspec`,
    'README.md',
    'lib/netstandard2.0/Dohle.dll',
    'lib/netstandard2.0/Dohle.xml',
    `runtimes/${rid}/native/libdohle.so`,
  ])
    assert.ok(names.includes(name), `${name} is missing in\n${names}`)
})

test('the project file says the same of the package as the package does', options, async () => {
  const project = readFileSync(join(wrapper, 'src', 'Dohle', 'Dohle.csproj'), 'utf8')
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  assert.equal(described().version, version)
  for (const [, name, wanted] of project.matchAll(/<PackageReference Include="(.*?)" Version="(.*?)"/g)) {
    const text: string = await run(
      'python3',
      [
        '-c',
        `import sys, zipfile; print(zipfile.ZipFile(sys.argv[1]).read('Dohle.nuspec').decode())`,
        programs.made.package,
      ],
      { capture: true },
    )
    assert.ok(text.includes(`<dependency id="${name}" version="${wanted}" />`), name)
  }
  await run(
    'python3',
    ['-c', 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])', join(wrapper, 'src', 'Dohle', 'Dohle.csproj')],
    { capture: true },
  )
})

test("the README's example runs as pasted", options, async () => {
  const code = /```csharp\n(.*?)```/s.exec(readFileSync(join(wrapper, 'README.md'), 'utf8'))![1]!
  const source = join(programs.folder, 'Readme.cs')
  writeFileSync(source, code)
  const said: string = await programs.tools.run(await programs.compiled('Readme', [source]))
  assert.equal(said, 'written to orders [0] @0\n42: two shirts\n')
})
