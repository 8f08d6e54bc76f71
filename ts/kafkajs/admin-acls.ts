/**
 * Access rules in kafkajs' admin client.
 */
import type { Acl as EngineAcl, AclFilter as EngineFilter } from '../generated/operations.ts'
import type { Connection } from './connection.ts'
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from './constants.ts'
import { KafkaJSNonRetriableError } from './errors.ts'
import { nameOf, numberOf } from './numbers.ts'
import type { AclEntry, AclFilter, Admin, DescribeAclResource } from './types/admin.ts'

type AclOperations = Pick<Admin, 'createAcls' | 'describeAcls' | 'deleteAcls'>

/** kafkajs' members that are numbers, what kafkajs calls them when they are wrong, and Kafka's names of them. */
const NUMBERS = [
  ['operation', 'operation type', AclOperationTypes],
  ['resourcePatternType', 'resource pattern type', ResourcePatternTypes],
  ['permissionType', 'permission type', AclPermissionTypes],
  ['resourceType', 'resource type', AclResourceTypes],
] as const

/** See the module. */
export function aclOperations(connection: Connection): AclOperations {
  const admin = async () => (await connection.open()).admin()
  return {
    async createAcls({ acl }) {
      if (!acl || !Array.isArray(acl)) throw new KafkaJSNonRetriableError(`Invalid ACL array ${acl}`)
      if (acl.length === 0) throw new KafkaJSNonRetriableError('Empty ACL array')
      for (const [member, what] of [
        ['principal', 'principals'],
        ['host', 'hosts'],
        ['resourceName', 'resourceNames'],
      ] as const) {
        if (acl.some(one => typeof one[member] !== 'string')) {
          throw new KafkaJSNonRetriableError(`Invalid ACL array, the ${what} have to be a valid string`)
        }
      }
      for (const one of acl) checkNumbers(one)
      await connection.tried((await admin()).createAcls(acl.map(entry)))
      return true
    },

    async describeAcls(given) {
      checkFilter(given)
      const found = await connection.tried((await admin()).describeAcls(filter(given)))
      // kafkajs declares a time and an error that it does not give.
      return { resources: byResource(found) } as Awaited<ReturnType<Admin['describeAcls']>>
    },

    async deleteAcls({ filters }) {
      if (!filters || !Array.isArray(filters)) throw new KafkaJSNonRetriableError(`Invalid ACL Filter array ${filters}`)
      if (filters.length === 0) throw new KafkaJSNonRetriableError('Empty ACL Filter array')
      for (const one of filters) checkFilter(one)
      const client = await admin()
      // One by one: what each of them deleted is told.
      const filterResponses = await Promise.all(
        filters.map(async given => {
          const deleted = await connection.tried(client.deleteAcls([filter(given)]))
          const none = { errorCode: 0, errorMessage: null as unknown as string }
          return { ...none, matchingAcls: deleted.map(one => ({ ...none, ...theirs(one) })) }
        }),
      )
      return { filterResponses } as Awaited<ReturnType<Admin['deleteAcls']>>
    },
  }
}

function entry(acl: AclEntry): EngineAcl {
  return {
    resourceType: nameOf(AclResourceTypes, acl.resourceType),
    resourceName: acl.resourceName,
    patternType: nameOf(ResourcePatternTypes, acl.resourcePatternType),
    principal: acl.principal,
    host: acl.host,
    operation: nameOf(AclOperationTypes, acl.operation),
    permission: nameOf(AclPermissionTypes, acl.permissionType),
  }
}

/** `ANY` is what the engine's filter leaves out. */
function filter(of: AclFilter): EngineFilter {
  const any = (name: string) => (name === 'ANY' ? undefined : name)
  return {
    resourceType: any(nameOf(AclResourceTypes, of.resourceType)),
    resourceName: of.resourceName,
    patternType: any(nameOf(ResourcePatternTypes, of.resourcePatternType)),
    principal: of.principal,
    host: of.host,
    operation: any(nameOf(AclOperationTypes, of.operation)),
    permission: any(nameOf(AclPermissionTypes, of.permissionType)),
  }
}

function theirs(acl: EngineAcl): AclEntry {
  return {
    resourceType: numberOf(AclResourceTypes, acl.resourceType),
    resourceName: acl.resourceName,
    resourcePatternType: numberOf(ResourcePatternTypes, acl.patternType),
    principal: acl.principal,
    host: acl.host,
    operation: numberOf(AclOperationTypes, acl.operation),
    permissionType: numberOf(AclPermissionTypes, acl.permission),
  }
}

function byResource(acls: EngineAcl[]): DescribeAclResource[] {
  const resources = new Map<string, DescribeAclResource>()
  for (const one of acls.map(theirs)) {
    const { resourceType, resourceName, resourcePatternType, ...acl } = one
    const key = `${resourceType}/${resourcePatternType}/${resourceName}`
    const resource = resources.get(key) ?? { resourceType, resourceName, resourcePatternType, acls: [] }
    resource.acls.push(acl)
    resources.set(key, resource)
  }
  return [...resources.values()]
}

function checkNumbers(one: AclEntry | AclFilter): void {
  for (const [member, what, constants] of NUMBERS) {
    const numbers: number[] = Object.values(constants)
    if (!numbers.includes(one[member])) {
      throw new KafkaJSNonRetriableError(`Invalid ${what} ${one[member]}: ${JSON.stringify(one)}`)
    }
  }
}

function checkFilter(one: AclFilter): void {
  for (const member of ['principal', 'host', 'resourceName'] as const) {
    if (typeof one[member] !== 'string' && one[member] !== undefined) {
      throw new KafkaJSNonRetriableError(`Invalid ${member}, the ${member} have to be a valid string`)
    }
  }
  checkNumbers(one)
}
