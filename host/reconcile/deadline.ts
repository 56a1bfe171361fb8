/** A deadline on every call of an engine: a call that hangs becomes a failure that is tried again. */
import type { Timer } from "../types.ts"

/** Rejects after `delayMs` real milliseconds. The call itself goes on: engines are idempotent, so a second one does no harm. */
export function within<T>(what: string, delayMs: number, timer: Timer, call: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = timer(delayMs, () => reject(new Error(`${what} did not answer within ${delayMs} ms`)))
    call.then(resolve, reject).finally(cancel)
  })
}

/** The same engine, each of its promises bounded. */
export function bounded<Engine extends object>(engine: Engine, delayMs: number, timer: Timer): Engine {
  return new Proxy(engine, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key)
      if (typeof member !== "function") return member
      return (...values: unknown[]) => {
        const result: unknown = Reflect.apply(member, target, values)
        return result instanceof Promise ? within(String(key), delayMs, timer, result) : result
      }
    },
  })
}

/** setTimeout that does not keep the process alive. */
export const systemTimer: Timer = (delayMs, action) => {
  const handle = setTimeout(action, delayMs).unref()
  return () => clearTimeout(handle)
}
