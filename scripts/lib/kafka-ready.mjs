// Asks a Kafka broker, in the fewest bytes, what it knows: Metadata requests (version 4, which makes no topics), each on a connection of its own.

import { connect } from 'node:net'

/** How many unfenced brokers the one at this address knows; 0 when it does not answer (yet). */
export async function brokersKnown(host, port, timeoutMs = 5_000) {
  return (await metadata(host, port, [], timeoutMs))?.brokers ?? 0
}

/** How many partitions with a leader the broker at this address knows of each of these topics, by name. */
export async function partitionsKnown(host, port, topics, timeoutMs = 5_000) {
  return (await metadata(host, port, topics, timeoutMs))?.partitions ?? {}
}

/** Undefined when it does not answer. */
async function metadata(host, port, topics, timeoutMs) {
  const answer = await exchange(host, port, request(topics), timeoutMs)
  return answer && parsed(answer)
}

function request(topics) {
  const names = topics.flatMap(topic => {
    const name = Buffer.from(topic)
    return [Buffer.from([name.length >> 8, name.length & 0xff]), name]
  })
  // length, api key 3, version 4, correlation id 7, client id null, how many topics … do not make them
  const head = Buffer.from('000000000003000400000007ffff00000000', 'hex')
  const whole = Buffer.concat([head, ...names, Buffer.from([0])])
  whole.writeInt32BE(whole.length - 4)
  whole.writeInt32BE(topics.length, head.length - 4)
  return whole
}

/** The answer without its length; undefined when none comes. */
function exchange(host, port, request, timeoutMs) {
  return new Promise(resolve => {
    const socket = connect({ host, port })
    let got = Buffer.alloc(0)
    const finish = answer => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(timeoutMs, () => finish())
    socket.on('error', () => finish())
    socket.on('close', () => finish())
    socket.on('connect', () => socket.write(request))
    socket.on('data', bytes => {
      got = Buffer.concat([got, bytes])
      if (got.length >= 4 && got.length >= 4 + got.readInt32BE(0)) finish(got.subarray(4))
    })
  })
}

function parsed(answer) {
  let at = 0
  const take = length => {
    at += length
    return at - length
  }
  const int = () => answer.readInt32BE(take(4))
  const short = () => answer.readInt16BE(take(2))
  const text = () => answer.toString('utf8', take(Math.max(0, short())), at)
  const list = one => Array.from({ length: int() }, one)
  if (int() !== 7) return undefined
  int() // throttle time
  const brokers = list(() => [int(), text(), int(), text()]).length
  text() // cluster id
  int() // controller
  const topics = list(() => {
    short()
    const topic = text()
    take(1) // whether it is one of Kafka's own
    const leaders = list(() => [short(), int(), int(), list(int), list(int)][2])
    return [topic, leaders.filter(leader => leader >= 0).length]
  })
  return { brokers, partitions: Object.fromEntries(topics) }
}
