// `--help` of a script: the comment at its head.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Prints the comment at the head of the script `url` and returns true when it was started with --help or -h. */
export function helped(url) {
  if (!process.argv.slice(2).some(word => word === '--help' || word === '-h')) return false
  const lines = readFileSync(fileURLToPath(url), 'utf8').split('\n')
  const end = lines.findIndex(line => !line.startsWith('//'))
  console.log(
    lines
      .slice(0, end)
      .map(line => line.replace(/^\/\/ ?/, ''))
      .join('\n'),
  )
  return true
}
