/** Who is asked what is not ours to answer, and in which order: the host's resolvers, then the relay. */
import type { Clock } from "#lib/clock.ts"
import type { Way } from "./resolver.ts"

/** Somebody to ask. Gives an answer under the question's own id; rejects when there is none before `signal` ends. */
export interface Upstream {
  readonly name: string
  ask(message: Buffer, way: Way, signal: AbortSignal): Promise<Buffer>
}

export type Ask = (message: Buffer, way: Way, upstreams: readonly Upstream[]) => Promise<Buffer | undefined>

/** Who has not answered by then is not waited for alone; resolvers of guests give up after five seconds. */
const patienceMs = 700
const deadlineMs = 4_500
/** Who was late or failed is asked after the others for so long. */
const demotedMs = 30_000
const mostAsked = 3

/**
 * Asks one after the other, the next as soon as one fails or takes long; the first answer counts, the rest are given up. Gives
 * undefined when nobody answers within 4.5 s.
 */
export function upstreamAsker(clock: Clock): Ask {
  const demoted = new Map<string, number>()
  const isDemoted = ({ name }: Upstream) => (demoted.get(name) ?? -Infinity) > clock.monotonicMs()
  const demote = ({ name }: Upstream) => {
    demoted.set(name, clock.monotonicMs() + demotedMs)
    // Names come from the host's files, a few at a time; those of long ago are forgotten.
    if (demoted.size > 64) demoted.delete([...demoted.keys()][0] ?? "")
  }

  return async (message, way, upstreams) => {
    const order = [...upstreams.filter((one) => !isDemoted(one)), ...upstreams.filter(isDemoted)].slice(0, mostAsked)
    const { promise, resolve } = Promise.withResolvers<Buffer | undefined>()
    const control = new AbortController()
    const { signal } = control
    const end = setTimeout(() => resolve(undefined), deadlineMs)
    let patience: NodeJS.Timeout | undefined
    let [next, open] = [0, 0]
    const askNext = () => {
      clearTimeout(patience)
      const upstream = signal.aborted ? undefined : order[next++]
      if (upstream === undefined) {
        if (open === 0) resolve(undefined)
        return
      }
      open++
      patience = setTimeout(() => {
        demote(upstream)
        askNext()
      }, patienceMs)
      upstream.ask(message, way, signal).then(
        (answer) => {
          demoted.delete(upstream.name)
          resolve(answer)
        },
        () => {
          open--
          if (signal.aborted) return
          demote(upstream)
          askNext()
        },
      )
    }
    askNext()
    return promise.finally(() => {
      clearTimeout(end)
      clearTimeout(patience)
      control.abort()
    })
  }
}
