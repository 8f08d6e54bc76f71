/**
 * Assignors of the program's own on their way to the engine: it gets their names, and asks for assignments.
 */
import type { GroupMember, GroupToAssign, MemberAssignment, PartitionAssignor } from '../assignor.ts'
import { arrayOf, bagOf, objectOf, reading, refuseUnknown, textAt } from './arguments.ts'
import { invalid, kindOf } from './failure.ts'

const KNOWN = ['name', 'cooperative', 'userData', 'assign'] as const
const OPTIONS = ['partitionAssignmentStrategy', 'partition.assignment.strategy'] as const

/** The request of a question `assign`. */
export interface AssignRequest {
  assignor: string
  topics: GroupToAssign['topics']
  members: (Omit<GroupMember, 'userData'> & { userData: string | null })[]
}

/** See the module. */
export class Assignors {
  /** The options, with names in place of assignors. */
  readonly options: object
  readonly #own = new Map<string, PartitionAssignor>()

  constructor(options: object) {
    const bag = bagOf(options)
    const declared: object[] = []
    const changed: Record<string, unknown> = {}
    for (const option of OPTIONS) {
      const list = reading(option, () => bag[option])
      if (!Array.isArray(list)) continue
      changed[option] = list.map((one, index) => {
        if (typeof one !== 'object' || one === null) return one
        const own = read(one, `${option}[${index}]`)
        if (this.#own.has(own.name)) throw invalid(`${option}[${index}].name`, `${own.name} is there twice`)
        this.#own.set(own.name, own)
        const userData = own.userData && Buffer.from(own.userData).toString('base64')
        declared.push({ name: own.name, cooperative: own.cooperative ?? false, userData })
        return own.name
      })
    }
    this.options = this.#own.size === 0 ? options : { ...bag, ...changed, assignors: declared }
  }

  /** Answers a question `assign`. */
  async assign({ assignor, topics, members }: AssignRequest): Promise<MemberAssignment[]> {
    const own = this.#own.get(assignor)
    if (own === undefined) throw new Error(`there is no assignor '${assignor}'`)
    const decoded = members.map(({ userData, ...member }) => ({
      ...member,
      userData: userData === null ? null : Buffer.from(userData, 'base64'),
    }))
    const given = arrayOf(await own.assign({ topics, members: decoded }), 'the result')
    return given.map(({ memberId, partitions }) => ({
      memberId,
      partitions: partitions.map(({ topic, partition }) => ({ topic, partition })),
    }))
  }
}

/** An assignor, each member read once. */
function read(given: object, path: string): PartitionAssignor {
  objectOf(given, path)
  refuseUnknown(given, KNOWN, path)
  const from = given as PartitionAssignor
  return reading(path, () => {
    const { cooperative, userData, assign } = from
    const name = textAt(from.name, `${path}.name`)
    if (name === '') throw invalid(`${path}.name`, 'is empty')
    if (cooperative !== undefined && typeof cooperative !== 'boolean')
      throw invalid(`${path}.cooperative`, `is ${kindOf(cooperative)}, not true or false`)
    if (userData !== undefined && !(userData instanceof Uint8Array))
      throw invalid(`${path}.userData`, `is ${kindOf(userData)}, not bytes`)
    if (typeof assign !== 'function') throw invalid(`${path}.assign`, `is ${kindOf(assign)}, not a function`)
    return { name, cooperative, userData, assign: assign.bind(given) }
  })
}
