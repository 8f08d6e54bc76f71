// Lays the C# library out as its NuGet package has it, for the tests: lib/, runtimes/RID/native/, the description, and Dohle.VERSION.nupkg of it all.
//   node scripts/dotnet-package.mjs [--prefix DIR] [--profile release|dev|dist]     DIR: dist-dotnet by default
//
// The assemblies in it are compiled by the compiler of the tests (scripts/lib/dotnet.mjs). The package that is published is made by the .NET SDK:
// `dotnet pack wrappers/dotnet/src/Dohle`.

import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { parseArgs } from 'node:util'
import { cLibrary } from './c-library.mjs'
import { dotnet, frameworkReferences } from './lib/dotnet.mjs'
import { helped } from './lib/help.mjs'
import { root } from './lib/paths.mjs'
import { zip } from './lib/zip.mjs'

const wrapper = join(root, 'wrappers', 'dotnet')

/** The files of a folder, and of those in it. */
export const filesOf = (folder, ending = '') =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith(ending))
    .map(entry => join(entry.parentPath, entry.name))
    .sort()

/** The library's sources. */
export const sources = () => filesOf(join(wrapper, 'src', 'Dohle'), '.cs')

/** What the project file says of the package. */
export function described() {
  const project = readFileSync(join(wrapper, 'src', 'Dohle', 'Dohle.csproj'), 'utf8')
  const of = name => new RegExp(`<${name}>(.*?)</${name}>`).exec(project)?.[1]
  return {
    id: of('PackageId'),
    version: of('Version'),
    authors: of('Authors'),
    description: of('Description'),
    licence: of('PackageLicenseExpression'),
  }
}

/** The runtime identifier of this machine. */
export const rid = `${{ linux: 'linux', darwin: 'osx', win32: 'win' }[process.platform]}-${process.arch}`

/** Builds everything and lays it out below `prefix`. Returns the paths of the package, of the assembly that runs here, and of the native library. */
export async function dotnetPackage(prefix, { profile = 'release', say = () => {} } = {}) {
  const tools = await dotnet(say)
  rmSync(prefix, { recursive: true, force: true })
  const native = join(prefix, 'runtimes', rid, 'native', 'libdohle.so')
  mkdirSync(dirname(native), { recursive: true })
  await cLibrary(join(prefix, 'c'), { profile, say })
  copyFileSync(join(prefix, 'c', 'lib', 'libdohle.so'), native)
  rmSync(join(prefix, 'c'), { recursive: true })

  say('compiling the C# library')
  const { id, version } = described()
  // The SDK writes this by itself.
  const versioned = join(prefix, 'AssemblyInfo.cs')
  writeFileSync(versioned, `[assembly: System.Reflection.AssemblyVersion("${version}.0")]\n`)
  const build = async (folder, options) => {
    const output = join(prefix, 'lib', folder, 'Dohle.dll')
    const docs = join(prefix, 'lib', folder, 'Dohle.xml')
    await tools.compile([...sources(), versioned], output, { docs, ...options })
    return output
  }
  const assembly = await build('netcoreapp3.1', { symbols: ['NETCOREAPP3_0_OR_GREATER'] })
  const surface = await frameworkReferences(say)
  await build('netstandard2.0', {
    symbols: ['NETSTANDARD2_0'],
    surface,
    references: [await standins(tools, prefix, surface)],
  })
  rmSync(join(prefix, 'standins'), { recursive: true })
  rmSync(versioned)

  copyFileSync(join(wrapper, 'README.md'), join(prefix, 'README.md'))
  writeFileSync(join(prefix, `${id}.nuspec`), nuspec())
  const file = join(prefix, `${id}.${version}.nupkg`)
  writeFileSync(file, nupkg(prefix))
  return { package: file, assembly, native }
}

/** Compiles what stands in for the packages that the netstandard2.0 build refers to. */
async function standins(tools, prefix, surface) {
  const output = join(prefix, 'standins', 'Standins.dll')
  await tools.compile([join(wrapper, 'harness', 'Standins.cs')], output, { surface })
  return output
}

function nuspec() {
  const { id, version, authors, description, licence } = described()
  return `<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">
  <metadata>
    <id>${id}</id>
    <version>${version}</version>
    <authors>${authors}</authors>
    <description>${description}</description>
    <license type="expression">${licence}</license>
    <readme>README.md</readme>
    <dependencies>
      <group targetFramework=".NETCoreApp3.1" />
      <group targetFramework=".NETStandard2.0">
        <dependency id="System.Memory" version="4.5.5" />
        <dependency id="Microsoft.Bcl.AsyncInterfaces" version="8.0.0" />
      </group>
    </dependencies>
  </metadata>
</package>
`
}

function nupkg(prefix) {
  const { id } = described()
  const kinds = ['dll', 'xml', 'so', 'md', 'nuspec'].map(
    kind => `<Default Extension="${kind}" ContentType="application/octet" />`,
  )
  const relations = `<Relationship Type="http://schemas.microsoft.com/packaging/2010/07/manifest" Target="/${id}.nuspec" Id="R1" />`
  const own = [
    {
      name: '[Content_Types].xml',
      text: `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml" />${kinds.join('')}</Types>`,
    },
    {
      name: '_rels/.rels',
      text: `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">${relations}</Relationships>`,
    },
  ]
  const files = filesOf(prefix).map(file => ({
    name: relative(prefix, file).split(sep).join('/'),
    bytes: readFileSync(file),
  }))
  return zip([
    ...own.map(({ name, text }) => ({ name, bytes: Buffer.from(`<?xml version="1.0" encoding="utf-8"?>\n${text}\n`) })),
    ...files,
  ])
}

if (process.argv[1] === join(root, 'scripts', 'dotnet-package.mjs') && !helped(import.meta.url)) {
  const { values } = parseArgs({
    options: { prefix: { type: 'string', default: 'dist-dotnet' }, profile: { type: 'string', default: 'release' } },
  })
  const say = line => console.error(`dotnet-package: ${line}`)
  const made = await dotnetPackage(resolve(values.prefix), { profile: values.profile, say })
  say(made.package)
}
