// `npm start`: builds what has changed, then runs the demonstration (ts/demo). Needs nothing but Node itself.

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { help, parse, UsageError } from './lib/arguments.mjs'
import { supportedNode } from './lib/node.mjs'
import { root } from './lib/paths.mjs'

async function main(args) {
  const options = parse(args)
  if (options.help) return console.log(help)
  supportedNode()
  const { build } = await import('./build.mjs')
  await build(line => console.error(`npm start: ${line}`))
  const { demonstrate } = await import(pathToFileURL(join(root, 'dist', 'demo', 'main.js')))
  process.exitCode = await demonstrate(options)
}

main(process.argv.slice(2)).catch(error => {
  console.error(`npm start: ${error.message}`)
  process.exitCode = error instanceof UsageError ? 2 : 1
})
