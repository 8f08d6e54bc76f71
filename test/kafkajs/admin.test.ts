/** The admin client of `dohle/kafkajs`; beside kafkajs' own it is in test/integration/kafkajs-admin.test.ts. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Admin } from '../../ts/kafkajs/index.ts'
import { unique } from '../support.ts'
import { setUp } from './support.ts'

describe('the admin client of dohle/kafkajs', () => {
  const context = setUp()

  /** Describing a topic fails as often as said (0: always), as it does as long as brokers do not know a new topic. */
  const unknown = (count: number, code: string) =>
    context.broker.faults.add({
      api: 'DescribeTopicPartitions',
      count,
      action: { kind: 'error', code, when: 'before' },
    })

  async function withAdmin(work: (admin: Admin) => Promise<void>): Promise<void> {
    const admin = context.kafka.admin()
    await admin.connect()
    await work(admin)
    await admin.disconnect()
  }

  test('createTopics waits for the leaders of what it makes, unless it is told not to', () =>
    withAdmin(async admin => {
      for (const code of ['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE']) {
        const fault = unknown(3, code)
        assert.equal(await admin.createTopics({ topics: [{ topic: unique('waits') }] }), true)
        assert.equal(fault.hits().fired, 3)
        fault.remove()
      }
      const fault = unknown(0, 'UNKNOWN_TOPIC_OR_PARTITION')
      const topics = [{ topic: unique('hurries') }]
      assert.equal(await admin.createTopics({ topics, validateOnly: true }), true)
      assert.equal(await admin.createTopics({ topics, waitForLeaders: false }), true)
      assert.equal(fault.hits().fired, 0)
      fault.remove()
    }))

  test('createTopics does not wait for leaders for ever', () =>
    withAdmin(async admin => {
      const fault = unknown(0, 'LEADER_NOT_AVAILABLE')
      const topics = [{ topic: unique('waits') }]
      await assert.rejects(admin.createTopics({ topics, timeout: 300 }), {
        name: 'KafkaJSTimeout',
        message: 'Timed out while waiting for topic leaders',
      })
      fault.remove()
    }))
})
