/**
 * Admin operations. Their methods are generated from the engine's own types.
 */
import { AdminOperations, type OperationName, type Operations } from './generated/operations.ts'
import type { Environment } from './internal/environment.ts'

/** Creates, lists, describes and deletes. Made by {@link Kafka.admin}; needs no closing. */
export class Admin extends AdminOperations {
  readonly #environment: Environment
  readonly #client: number

  /** @internal */
  constructor(environment: Environment, client: number) {
    super()
    this.#environment = environment
    this.#client = client
  }

  /** @internal */
  protected override operate<Name extends OperationName>(
    name: Name,
    request: Operations[Name]['request'],
    signal: AbortSignal | undefined,
  ): Promise<Operations[Name]['response']> {
    return this.#environment.call(this.#client, name, request, signal)
  }
}
