/** Builds the C# package into a folder of its own, and compiles C# programs and NUnit tests that use it. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dotnetPackage, rid } from '../../../scripts/dotnet-package.mjs'
import { dotnet } from '../../../scripts/lib/dotnet.mjs'

const silent = () => {}

/** Whether the compiler of the tests runs here. */
export const offered = process.platform === 'linux' && process.arch === 'x64'

/** See the module. */
export class DotnetPrograms {
  readonly folder: string
  readonly made: Awaited<ReturnType<typeof dotnetPackage>>
  readonly tools: Awaited<ReturnType<typeof dotnet>>

  private constructor(folder: string, made: DotnetPrograms['made'], tools: DotnetPrograms['tools']) {
    this.folder = folder
    this.made = made
    this.tools = tools
  }

  static async start(profile = 'dev'): Promise<DotnetPrograms> {
    const folder = mkdtempSync(join(tmpdir(), 'dohle-dotnet-'))
    const made = await dotnetPackage(join(folder, 'package'), { profile })
    return new DotnetPrograms(folder, made, await dotnet(silent))
  }

  /** Compiles a program, or (`tests`) NUnit tests, and lays the package's files beside it as a restore does. Returns the assembly's path. */
  async compiled(name: string, sources: string[], { tests = false } = {}): Promise<string> {
    const into = join(this.folder, name)
    const native = join(into, 'runtimes', rid, 'native')
    mkdirSync(native, { recursive: true })
    copyFileSync(this.made.native, join(native, 'libdohle.so'))
    copyFileSync(this.made.assembly, join(into, 'Dohle.dll'))
    const output = join(into, tests ? 'Dohle.Tests.dll' : `${name}.dll`)
    const references = [this.made.assembly, ...(tests ? [this.tools.nunit] : [])]
    await this.tools.compile(sources, output, { program: !tests, references })
    return output
  }

  end(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
