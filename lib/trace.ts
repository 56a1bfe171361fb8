/**
 * What was done for whom. Whoever works for a resource runs the work inside `tracing`; whatever runs below it, at any depth
 * and after any wait, says what it did by `timed`. The recorder travels with the asynchronous context, so no function between
 * the two has to hand it on, and code that nobody traces pays one look-up.
 */
import { AsyncLocalStorage } from "node:async_hooks"

/** `step`: of a reconciler. `call`: of an engine. `command`: a process, or a command to one. */
export type TraceLevel = "step" | "call" | "command"

/** Told at the end of each piece of work. `what` must hold no secret; `ms` is real time, `error` the message of a failure. */
export type Recorder = (level: TraceLevel, what: string, ms: number, error: string | undefined) => void

const current = new AsyncLocalStorage<Recorder | undefined>()

/** Run `work` and give what it gives; all that it does is told to `recorder`. Undefined: to nobody. */
export const tracing = <T>(recorder: Recorder | undefined, work: () => T): T => current.run(recorder, work)

/** Run `work`, give what it gives or throw what it throws, and tell the recorder, if there is one. */
export async function timed<T>(level: TraceLevel, what: () => string, work: () => T | Promise<T>): Promise<T> {
  const recorder = current.getStore()
  if (recorder === undefined) return await work()
  const started = performance.now()
  try {
    const result = await work()
    recorder(level, what(), performance.now() - started, undefined)
    return result
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    recorder(level, what(), performance.now() - started, message)
    throw error
  }
}

/** A command line on one line and at most `most` characters long. */
export function shortened(words: readonly string[], most = 200): string {
  const text = words.join(" ").replaceAll(/[^\x20-\x7e]+/g, " ")
  return text.length > most ? `${text.slice(0, most - 1)}~` : text
}
