/** A deadline on every call of an engine: a call that hangs becomes a failure that is tried again. */
import { shortened, timed } from "#lib/trace.ts"
import type { Timer } from "../types.ts"

/** Rejects after `delayMs` real milliseconds. The call itself goes on: engines are idempotent, so a second one does no harm. */
export function within<T>(what: string, delayMs: number, timer: Timer, call: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = timer(delayMs, () => reject(new Error(`${what} did not answer within ${delayMs} ms`)))
    call.then(resolve, reject).finally(cancel)
  })
}

/** The same engine, each of its promises bounded, and each call that may change something traced under `name`. */
export function bounded<Engine extends object>(engine: Engine, delayMs: number, timer: Timer, name: string): Engine {
  return new Proxy(engine, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key)
      if (typeof member !== "function") return member
      const call = (...values: unknown[]): unknown => {
        const result: unknown = Reflect.apply(member, target, values)
        return result instanceof Promise && !hasItsOwn(key, values)
          ? within(String(key), delayMs, timer, result)
          : result
      }
      if (typeof key !== "string" || looks.test(key)) return call
      return (...values: unknown[]) =>
        timed(
          "call",
          () => shortened([`${name}.${key}`, ...values.flatMap(idOf)]),
          () => call(...values),
        )
    },
  })
}

/** Calls that take as long as a guest's memory or disk is large: the engine gives up by itself. */
const hasItsOwn = (key: string | symbol, [first]: readonly unknown[]) =>
  key === "hibernate" ||
  key === "createSnapshots" ||
  key === "whileStill" ||
  (key === "prepare" && typeof first === "object" && first !== null && "resumeFrom" in first)

/** Calls that only look, and those that give no promise. */
const looks = /^(list|has|inspect|find|probe|console|portCounters|onChange|close)/

/** Of what a call is given, only ids are told: a specification may hold what is not for every eye. */
function idOf(value: unknown): string[] {
  if (typeof value === "string" && !value.startsWith("/")) return [value]
  const id: unknown = typeof value === "object" && value !== null && "id" in value ? value.id : undefined
  return typeof id === "string" ? [id] : []
}

/** setTimeout that does not keep the process alive. */
export const systemTimer: Timer = (delayMs, action) => {
  const handle = setTimeout(action, delayMs).unref()
  return () => clearTimeout(handle)
}
