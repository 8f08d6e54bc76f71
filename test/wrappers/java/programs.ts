/** Builds the jar into a folder of its own, and compiles Java programs that use it. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { javaJar } from '../../../scripts/java-jar.mjs'
import { run } from '../../../scripts/lib/run.mjs'

/** See the module. */
export class JavaPrograms {
  readonly folder: string
  readonly jar: string

  private constructor(folder: string, jar: string) {
    this.folder = folder
    this.jar = jar
  }

  static async start(profile = 'dev'): Promise<JavaPrograms> {
    const folder = mkdtempSync(join(tmpdir(), 'dohle-java-'))
    const jar = join(folder, 'dohle.jar')
    copyFileSync(await javaJar({ profile }), jar)
    return new JavaPrograms(folder, jar)
  }

  /** Compiles a program's sources; returns the class path it runs with. */
  async compiled(name: string, sources: string[]): Promise<string> {
    const classes = join(this.folder, name)
    await run('javac', ['-Xlint:all', '-Werror', '-cp', this.jar, '-d', classes, ...sources], { capture: true })
    return `${this.jar}:${classes}`
  }

  end(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
