// Asks a Kafka broker, in the fewest bytes, whether it is up: one Metadata request (version 1, no topics).

import { connect } from 'node:net'

/** How many unfenced brokers the one at this address knows; 0 when it does not answer (yet). */
export function brokersKnown(host, port, timeoutMs = 5_000) {
  // length, api key 3, version 1, correlation id 7, client id null, an empty list of topics
  const request = Buffer.from('000000000003000100000007ffff00000000', 'hex')
  request.writeInt32BE(request.length - 4)
  return new Promise(resolve => {
    const socket = connect({ host, port })
    let got = Buffer.alloc(0)
    const finish = count => {
      socket.destroy()
      resolve(count)
    }
    socket.setTimeout(timeoutMs, () => finish(0))
    socket.on('error', () => finish(0))
    socket.on('close', () => finish(0))
    socket.on('connect', () => socket.write(request))
    socket.on('data', bytes => {
      got = Buffer.concat([got, bytes])
      if (got.length >= 12) finish(got.readInt32BE(4) === 7 ? got.readInt32BE(8) : 0)
    })
  })
}
