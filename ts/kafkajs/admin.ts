/**
 * kafkajs' admin client.
 */
import { missingOperations } from './admin-missing.ts'
import { offsetOperations } from './admin-offsets.ts'
import { topicOperations } from './admin-topics.ts'
import { Connection } from './connection.ts'
import { adminEvents, Instrumentation } from './instrumentation.ts'
import type { Admin, AdminConfig } from './types/admin.ts'
import type { KafkaConfig, Logger } from './types/client.ts'

/** Makes an admin client. */
export function createAdmin(config: KafkaConfig, { retry }: AdminConfig, rootLogger: Logger): Admin {
  const logger = rootLogger.namespace('Admin')
  const instrumentation = new Instrumentation('admin', adminEvents, logger)
  const connection = new Connection(config, logger, retry)
  return {
    async connect() {
      await connection.connect()
      instrumentation.emit(adminEvents.CONNECT)
    },
    async disconnect() {
      await connection.close()
      instrumentation.emit(adminEvents.DISCONNECT)
    },
    ...topicOperations(connection),
    ...offsetOperations(connection),
    ...missingOperations,
    logger: () => logger,
    on: instrumentation.on as Admin['on'],
    events: adminEvents,
  }
}
