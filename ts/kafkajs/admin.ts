/**
 * kafkajs' admin client.
 */
import { aclOperations } from './admin-acls.ts'
import { configOperations } from './admin-configs.ts'
import { offsetOperations } from './admin-offsets.ts'
import { replicaOperations } from './admin-replicas.ts'
import { topicOperations } from './admin-topics.ts'
import { Connection } from './connection.ts'
import { groupOperations } from './groups.ts'
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
    ...configOperations(connection),
    ...groupOperations(connection),
    ...aclOperations(connection),
    ...replicaOperations(connection),
    logger: () => logger,
    on: instrumentation.on as Admin['on'],
    events: adminEvents,
  }
}
