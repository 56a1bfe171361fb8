/** Who may be at the serial port of a guest, and who is: keys that live for a minute, one session for each guest. In memory: none outlives us. */
import type { Duplex } from "node:stream"
import type { HypervisorEngine } from "#engine/hypervisor/types.ts"
import type { Clock } from "#lib/clock.ts"
import type { SerialAnswer } from "../protocol/types.ts"

export interface SerialSessions {
  /** For a minute this key, "type base64", may begin a session. "unavailable" where no guest of this name runs. */
  allow(guest: string, key: string): Promise<SerialAnswer>
  /** Whether it may now. */
  may(guest: string, key: string): boolean
  /** Rejects for a key that may not, where somebody is at the port already, and where there is none. Ends with the guest, or when idle. */
  open(guest: string, key: string): Promise<Duplex>
  /** Ends all sessions. */
  close(): void
}

const keptMs = 60_000
/** Of one guest; the oldest goes. */
const maxKeys = 20
const maxGuests = 1_000
const maxSessions = 64
/** Without a byte either way. */
const idleMs = 30 * 60_000

export function createSerialSessions(
  hypervisor: Pick<HypervisorEngine, "inspect" | "openSerial">,
  clock: Pick<Clock, "monotonicMs">,
): SerialSessions {
  const keys = new Map<string, { readonly key: string; readonly untilMs: number }[]>()
  const sessions = new Map<string, Duplex | undefined>()

  const living = (guest: string) => (keys.get(guest) ?? []).filter(({ untilMs }) => untilMs > clock.monotonicMs())
  const may = (guest: string, key: string) => living(guest).some((each) => each.key === key)

  return {
    may,
    async allow(guest, key) {
      if (sessions.has(guest)) return "taken"
      const { phase } = await hypervisor.inspect(guest)
      if (phase !== "running" || hypervisor.openSerial === undefined) return "unavailable"
      for (const each of keys.keys()) if (living(each).length === 0) keys.delete(each)
      if (keys.size >= maxGuests && !keys.has(guest)) return "unavailable"
      const others = living(guest).filter((each) => each.key !== key)
      keys.set(guest, [...others.slice(1 - maxKeys), { key, untilMs: clock.monotonicMs() + keptMs }])
      return "accepted"
    },
    async open(guest, key) {
      if (!may(guest, key)) throw new Error("the key may not begin a session now")
      if (sessions.has(guest)) throw new Error("somebody has a session already")
      if (sessions.size >= maxSessions) throw new Error(`there are ${maxSessions} sessions already`)
      // Taken before it is open: of two at once one is refused.
      sessions.set(guest, undefined)
      const leave = () => void sessions.delete(guest)
      try {
        const stream = await hypervisor.openSerial?.(guest)
        if (stream === undefined) throw new Error("guests have no serial port here")
        sessions.set(guest, stream)
        stream.once("close", leave)
        if (stream.destroyed) leave()
        return endWhenIdle(stream)
      } catch (error) {
        leave()
        throw error
      }
    },
    close() {
      for (const stream of sessions.values()) stream?.destroy()
    },
  }
}

function endWhenIdle(stream: Duplex): Duplex {
  const timer = setTimeout(() => stream.destroy(), idleMs)
  timer.unref()
  const stays = () => void timer.refresh()
  stream.on("data", stays).on("drain", stays)
  // Nothing flows before whoever asked listens too.
  stream.pause()
  stream.once("close", () => clearTimeout(timer))
  return stream
}
