/**
 * kafkajs' numbers and Kafka's names of them, which the engine takes and gives.
 */

/** The number that kafkajs has for a name; that of `UNKNOWN` where it has none. */
export function numberOf<T extends Readonly<Record<string, number>>>(constants: T, name: string): T[keyof T] {
  return (constants[name] ?? constants.UNKNOWN) as T[keyof T]
}

/** Kafka's name of one of kafkajs' numbers. */
export function nameOf(constants: Readonly<Record<string, number>>, number: number): string {
  return Object.keys(constants).find(name => constants[name] === number) ?? 'UNKNOWN'
}
