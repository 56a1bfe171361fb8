/** From a service's table of handlers to something the wire can call. */
import { runCall, type Call, type CallInfo, type Cloud } from "./call.ts"
import { raise } from "./errors.ts"

/** A handler of any operation; a service narrows it to the SDK's types. */
export type AnyHandler = (input: never, call: Call) => Promise<object>

const pureHandlers = new WeakSet<AnyHandler>()

/**
 * Marks a handler whose answer follows from its caller, its region, its input and what the store holds, and from nothing
 * else: no clock, no host, no chance. Such an answer may be given again while the store has not changed.
 */
export function pure<H extends AnyHandler>(handler: H): H {
  pureHandlers.add(handler)
  return handler
}

export interface Dispatcher {
  /** Whether an answer of the operation may be given again while the store has not changed. */
  isPure(operation: string): boolean
  /** Whether the operation has a handler. */
  handles(operation: string): boolean
  dispatch(operation: string, input: object, info: CallInfo): Promise<object>
}

/**
 * `before` runs ahead of every handler (the default VPC is made there). An operation without a handler answers
 * UnsupportedOperation with its name.
 */
export function createDispatcher(
  cloud: Cloud,
  handlers: Readonly<Record<string, AnyHandler | undefined>>,
  before: (cloud: Cloud, info: CallInfo) => Promise<void> = async () => {},
): Dispatcher {
  const handlerOf = (operation: string) => (Object.hasOwn(handlers, operation) ? handlers[operation] : undefined)
  return {
    handles: (operation) => handlerOf(operation) !== undefined,
    isPure(operation) {
      const handler = handlerOf(operation)
      return handler !== undefined && pureHandlers.has(handler)
    },
    async dispatch(operation, input, info) {
      const handler = handlerOf(operation)
      if (handler === undefined) throw raise("UnsupportedOperation", { operation })
      await before(cloud, info)
      const dryRun = "DryRun" in input && input.DryRun === true
      return runCall(cloud, info, dryRun, (call) => handler(input as never, call))
    },
  }
}
