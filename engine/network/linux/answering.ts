/**
 * Which guests answer ARP. The kernel itself asks: the neighbour of each is set to be probed at its known card, all of them by one
 * command, and made permanent again when the answers are in. Packets pass all the while: a neighbour that is probed is a valid one.
 */
import { setTimeout as sleep } from "node:timers/promises"
import type { PortSpec } from "../types.ts"
import { ipBatchForgiving, ipJson } from "./namespaces.ts"

/** As many as may be probed at a time: those that are not permanent count against a table that the whole machine shares. */
export const probedAtOnce = 200

/**
 * When the answers are looked at, in ms since the question. The kernel asks three times, a second apart, and forgets the card a
 * second after that (mcast_resolicit and retrans_time_ms in its ip-sysctl.rst); by then the neighbour is permanent again.
 */
const lookAfterMs = [150, 900, 1900, 2600]

interface Wired extends Pick<PortSpec, "address" | "mac"> {
  readonly tap: string
}

export const neighbourLine = ({ address, mac, tap }: Wired, state: "permanent" | "probe") =>
  `neigh replace ${address} lladdr ${mac.toLowerCase()} dev ${tap} nud ${state}`

interface Listed {
  readonly dst: string
  readonly dev: string
  readonly state?: readonly string[]
}

/**
 * Ask all `wired` and give the taps behind which somebody answered. `change` runs work on the network alone; what it is given is asked
 * for anew each time, so that a port which went or moved meanwhile is left as it is. Takes 2.6 s when one is silent.
 */
export async function answersOf(
  namespace: string,
  wired: () => readonly Wired[],
  change: (work: () => Promise<void>) => Promise<void>,
): Promise<ReadonlySet<string>> {
  const setAll = (state: "permanent" | "probe") =>
    change(() => {
      const lines = wired().map((each) => neighbourLine(each, state))
      return ipBatchForgiving(namespace, lines)
    })
  const answered = new Set<string>()
  let waitedMs = 0
  await setAll("probe")
  try {
    for (const atMs of lookAfterMs) {
      await sleep(atMs - waitedMs, undefined, { ref: false })
      waitedMs = atMs
      const cards = await ipJson<Listed>(namespace, "-4", "neigh", "show")
      for (const { dev, state } of cards) if (state?.includes("REACHABLE") === true) answered.add(dev)
      if (wired().every(({ tap }) => answered.has(tap))) break
    }
  } finally {
    await setAll("permanent")
  }
  return answered
}
