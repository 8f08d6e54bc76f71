// Writes zip files, which NuGet packages are. Deflated, with no times in them: the same files make the same bytes.

import { crc32, deflateRawSync } from 'node:zlib'

/** The bytes of a zip file with these entries: `[{ name, bytes }]`, in this order. */
export function zip(entries) {
  const [files, directory] = [[], []]
  let at = 0
  for (const { name, bytes } of entries) {
    const packed = deflateRawSync(bytes)
    const [local, central] = headers(Buffer.from(name), bytes, packed, at)
    files.push(local, packed)
    directory.push(central)
    at += local.length + packed.length
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(size, 12)
  end.writeUInt32LE(at, 16)
  return Buffer.concat([...files, ...directory, end])
}

/** An entry's header before its bytes, and that in the directory at the end. */
function headers(name, bytes, packed, at) {
  const common = Buffer.alloc(26)
  common.writeUInt16LE(20, 0) // version that can read it
  common.writeUInt16LE(0x0800, 2) // names are UTF-8
  common.writeUInt16LE(8, 4) // deflated
  common.writeUInt16LE(0x21, 8) // 1 January 1980
  common.writeUInt32LE(crc32(bytes), 10)
  common.writeUInt32LE(packed.length, 14)
  common.writeUInt32LE(bytes.length, 18)
  common.writeUInt16LE(name.length, 22)
  const signature = value => {
    const four = Buffer.alloc(4)
    four.writeUInt32LE(value)
    return four
  }
  const rest = Buffer.alloc(14)
  rest.writeUInt32LE(at, 10)
  return [
    Buffer.concat([signature(0x04034b50), common, name]),
    Buffer.concat([signature(0x02014b50), Buffer.from([20, 0]), common, rest, name]),
  ]
}
