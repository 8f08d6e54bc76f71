import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

// The compiled package, as users run it: a program of a line needs no compiler, and neither does a worker.
const [index, broker, internal] = ['index', 'broker', 'internal/environment'].map(
  name => new URL(`../dist/${name}.js`, import.meta.url).href,
)
const root = fileURLToPath(new URL('..', import.meta.url))

interface Outcome {
  code: number | null
  signal: string | null
  out: string
  err: string
  ms: number
}

/** Runs a program in a process of its own. It is killed, and the test fails, when it has not ended after 20 s. */
function run(program: string, env: Record<string, string> = {}): Promise<Outcome> {
  const source = `
    import { Worker, isMainThread } from 'node:worker_threads'
    import { Kafka } from '${index}'
    import { Broker } from '${broker}'
    import { theEnvironment } from '${internal}'
    ${program}`
  const begun = performance.now()
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
      cwd: root,
      env: { ...process.env, RUST_BACKTRACE: '0', ...env },
    })
    let out = ''
    let err = ''
    child.stdout.on('data', data => {
      out += data
    })
    child.stderr.on('data', data => {
      err += data
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, out: out.trim(), err: err.trim(), ms: performance.now() - begun })
    })
  })
}

/** The program ended by itself with code 0 and wrote this. */
async function prints(expected: string, program: string, env?: Record<string, string>): Promise<Outcome> {
  const outcome = await run(program, env)
  assert.deepEqual(
    { code: outcome.code, signal: outcome.signal, out: outcome.out },
    { code: 0, signal: null, out: expected },
    outcome.err,
  )
  return outcome
}

/** A broker with a topic `t` of 5,000 records, and a client of it. */
const filled = `
  const broker = await Broker.start()
  const kafka = new Kafka({ brokers: broker.address })
  const producer = kafka.producer()
  await producer.sendBatch({ topic: 't', messages: Array.from({ length: 5000 }, (_, i) => ({ value: 'v' + i })) })
`

describe('the process', () => {
  test('ends by itself with clients open that have nothing to do', async () => {
    await prints(
      'ready',
      `const kafka = new Kafka({ brokers: '127.0.0.1:1' })
       const producer = kafka.producer()
       const consumer = kafka.consumer({ groupId: 'g' })
       await consumer.subscribe('t')
       console.log('ready')`,
    )
  })

  test('lives while a promise of ours is pending, and no longer', async () => {
    await prints(
      '0 4999\nstopped',
      `${filled}
       broker.faults.add({ api: 0, nth: 1, action: { kind: 'delay', ms: 300, when: 'before' } })
       const { offset } = await producer.send({ topic: 't2', value: 'v' })
       const consumer = kafka.consumer()
       await consumer.assign([{ topic: 't', partition: 0, offset: 4999 }])
       for await (const message of consumer) { console.log(offset, message.offset); break }
       await broker.stop()
       console.log('stopped')`,
    )
  })

  test('lives while a loop waits, and ends when its consumer is closed', async () => {
    await prints(
      'over',
      `${filled}
       const consumer = kafka.consumer()
       await consumer.assign([{ topic: 't', partition: 0, offset: 'latest' }])
       setTimeout(() => consumer.close(), 200).unref()
       for await (const message of consumer) console.log('never')
       await broker.stop()
       console.log('over')`,
    )
  })

  test('lives while a broker of ours runs', async () => {
    await prints(
      'still here\nstopped',
      `const broker = await Broker.start()
       const timer = setTimeout(async () => {
         console.log('still here')
         await broker.stop()
         console.log('stopped')
       }, 300)
       timer.unref()`,
    )
  })

  test('ends at once when told to, in the middle of fetching and producing', async () => {
    const outcome = await run(
      `${filled}
       const consumer = kafka.consumer()
       await consumer.assign([{ topic: 't', partition: 0, offset: 0 }])
       for (let i = 0; i < 1000; i++) producer.send({ topic: 't', value: Buffer.alloc(1000) }).catch(() => {})
       for await (const message of consumer) if (message.offset === 100) process.exit(7)`,
    )
    assert.equal(outcome.code, 7, outcome.err)
    assert.equal(outcome.signal, null)
  })

  test('an error that nobody catches ends it with code 1, with everything open', async () => {
    const outcome = await run(
      `${filled}
       const consumer = kafka.consumer({ groupId: 'g', autoOffsetReset: 'earliest' })
       await consumer.subscribe('t')
       for await (const message of consumer) throw new Error('mine')`,
    )
    assert.equal(outcome.code, 1, outcome.err)
    assert.match(outcome.err, /Error: mine/)
  })
})

describe('worker threads', () => {
  const worker = (body: string) => `
    const source = ${JSON.stringify(`
      import { parentPort, workerData } from 'node:worker_threads'
      import { Kafka } from '${index}'
      const kafka = new Kafka({ brokers: workerData })
      ${body}`)}
    const start = () => new Worker(source, { eval: true, workerData: broker.address, execArgv: ['--input-type=module'] })
    const message = worker => new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    const exit = worker => new Promise(resolve => worker.once('exit', resolve))
  `

  test('several of them produce and consume beside the main thread', async () => {
    await prints(
      '100,200,300 600 0,0,0',
      `${filled}
       ${worker(`
         const producer = kafka.producer()
         const topic = 'of-workers'
         parentPort.once('message', async count => {
           const sent = await Promise.all(Array.from({ length: count }, (_, i) => producer.send({ topic, value: String(i) })))
           parentPort.postMessage(sent.length)
           await kafka.close()
           parentPort.close()
         })`)}
       await kafka.admin().createTopics([{ topic: 'of-workers', partitions: 1 }])
       const workers = [start(), start(), start()]
       const exits = workers.map(exit)
       workers.forEach((worker, i) => worker.postMessage(100 * (i + 1)))
       const counts = await Promise.all(workers.map(message))
       const consumer = kafka.consumer()
       await consumer.assign([{ topic: 'of-workers', partition: 0, offset: 0 }])
       let read = 0
       for await (const _ of consumer) if (++read === 600) break
       console.log(String(counts), read, String(await Promise.all(exits)))
       await kafka.close()
       await broker.stop()`,
    )
  })

  test('one that is terminated in the middle of a fetch takes nothing with it', async () => {
    await prints(
      'v0 1 v0 1 v0 1 v0 1 v0 1\nstill works',
      `${filled}
       ${worker(`
         const consumer = kafka.consumer()
         const producer = kafka.producer()
         await consumer.assign([{ topic: 't', partition: 0, offset: 0 }])
         setInterval(() => { for (let i = 0; i < 100; i++) producer.send({ topic: 'noise', value: 'x' }).catch(() => {}) }, 1)
         for await (const message of consumer) if (message.offset === 0) parentPort.postMessage(message.text())`)}
       const lines = []
       for (let i = 0; i < 5; i++) {
         const one = start()
         const exited = exit(one)
         lines.push(await message(one))
         await one.terminate()
         lines.push(await exited)
       }
       console.log(lines.join(' '))
       await producer.send({ topic: 't', value: 'v' })
       console.log('still works')
       await kafka.close()
       await broker.stop()`,
    )
  })

  test('one that ends by itself with everything open does not hold the process', async () => {
    await prints(
      '0',
      `${filled}
       ${worker(`
         const consumer = kafka.consumer({ groupId: 'w', autoOffsetReset: 'earliest' })
         await consumer.subscribe('t')
         for await (const message of consumer) break`)}
       console.log(await exit(start()))
       await broker.stop()`,
    )
  })
})

describe('a panic', () => {
  test('in a call is thrown where the call was made', async () => {
    await prints(
      'asked for by a test',
      `try { theEnvironment().native.invoke(0, 'testing.panic', '{}') } catch (error) { console.log(error.message) }`,
    )
  })

  test('in the task of a call rejects that call only', async () => {
    await prints(
      'PANIC true the engine panicked, which is a defect of dohle: asked for by a test\nok',
      `await theEnvironment().call(0, 'testing.panicLater', {}).catch(e => console.log(e.code, e.fatal, e.message))
       const broker = await Broker.start()
       const kafka = new Kafka({ brokers: broker.address })
       await kafka.admin().describeCluster()
       await kafka.close()
       await broker.stop()
       console.log('ok')`,
    )
  })

  test('in an engine task poisons its client, with everything that waits, and leaves others alone', async () => {
    const outcome = await prints(
      'PANIC PANIC PANIC PANIC PANIC\nother works',
      `${filled}
       const other = new Kafka({ brokers: broker.address })
       const consumer = kafka.consumer()
       await consumer.assign([{ topic: 't', partition: 0, offset: 'latest' }])
       broker.faults.add({ api: 0, count: 0, clientId: 'dohle', action: { kind: 'delay', ms: 5000, when: 'before' } })
       const pending = [
         producer.send({ topic: 't', value: 'v' }),
         producer.flush(),
         consumer.messages().next(),
       ]
       await new Promise(resolve => setTimeout(resolve, 50))
       // Handles count from 65536: the broker has the first one, its client the next.
       theEnvironment().native.invoke(65537, 'testing.panicInEngine', '{}')
       const codes = (await Promise.allSettled(pending)).map(({ reason }) => reason?.code)
       codes.push(await producer.send({ topic: 't', value: 'v' }).catch(error => error.code))
       try { kafka.producer() } catch (error) { codes.push(error.code) }
       console.log(codes.join(' '))
       await kafka.close({ timeout: 100 })
       broker.faults.clear()
       await other.admin().describeCluster()
       await other.close()
       console.log('other works')
       await broker.stop()`,
    )
    assert.ok(outcome.ms < 15_000)
  })
})

describe('where memory cannot be shared', () => {
  test('everything works by copies, progress included', async () => {
    await prints(
      '5000 v4999 2500',
      `${filled}
       const consumer = kafka.consumer({ groupId: 'g', autoOffsetReset: 'earliest', enableAutoCommit: false })
       await consumer.subscribe('t')
       let read = 0, committed
       for await (const message of consumer) {
         if (++read === 2500) {
           await consumer.commit()
           committed = (await consumer.committed([{ topic: 't', partition: 0 }]))[0].offset
         }
         if (read === 5000) { console.log(read, message.text(), committed); break }
       }
       await kafka.close()
       await broker.stop()`,
      { DOHLE_COPY_BUFFERS: '1' },
    )
  })
})
