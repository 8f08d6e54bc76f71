// Builds the C# library with the dist profile, and the program on it (bench/clients/dotnet), into the cache folder.
// Its peer, Confluent.Kafka for .NET, comes from NuGet alone, and is not measured here.

import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { dotnetPackage } from '../../scripts/dotnet-package.mjs'
import { dotnet } from '../../scripts/lib/dotnet.mjs'
import { cache, root } from '../../scripts/lib/paths.mjs'

/** The command of the program. */
export async function dohleDotnet(say) {
  const tools = await dotnet(say)
  const folder = join(cache, 'bench', 'dotnet')
  const { assembly, native } = await dotnetPackage(join(folder, 'package'), { profile: 'dist', say })
  copyFileSync(native, join(folder, 'libdohle.so'))
  copyFileSync(assembly, join(folder, 'Dohle.dll'))
  const program = join(folder, 'Bench.dll')
  await tools.compile([join(root, 'bench', 'clients', 'dotnet', 'Bench.cs')], program, {
    program: true,
    references: [assembly],
  })
  const env = Object.entries(tools.env).map(([name, value]) => `${name}=${value}`)
  return ['env', ...env, tools.command, program]
}
