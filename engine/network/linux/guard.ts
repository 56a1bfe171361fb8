/**
 * What stays in a network's namespace while its filters are replaced: limits per port, so that one guest cannot fill the
 * tables that all share, and counters of what came and what passed. Packets of open connections are neither limited nor counted:
 * a counter for each of those takes a tenth of the throughput.
 */
import { run } from "./command.ts"
import { filterTable, refused } from "./filters.ts"
import { forgetTable, keepTable } from "./kept.ts"
import type { Names } from "./names.ts"
import { inside } from "./namespaces.ts"

/**
 * What one port may take: tracked connections and new ones a second; DHCP packets a second; fragments a second, which wait
 * for the rest of their packet in memory that the network shares.
 */
export const portLimits = {
  connections: 20_000,
  newPerSecond: 2_000,
  burst: 4_000,
  dhcpPerSecond: 20,
  fragmentsPerSecond: 500,
}
const guardTable = "inet fractus-guard"

const counters = ["came-from", "passed-from", "came-to", "passed-to"] as const
type Counter = (typeof counters)[number]

const limiting = (name: string) => `  set ${name} { type ifname; size 65535; flags dynamic,timeout; timeout 10m; }`
const learning = (name: string) => `  set ${name} { type ifname; size 65535; flags dynamic; }`
const counting = (name: string) => `  set ${name} { type ifname; size 65535; flags dynamic; counter; }`

/** Make the guard table. What it has counted stays, unless somebody changed it. */
export async function installGuard(namespace: string, names: Names): Promise<void> {
  const taps = `"${names.tapPrefix}*"`
  const { connections, newPerSecond, burst, dhcpPerSecond, fragmentsPerSecond } = portLimits
  await keepTable(
    namespace,
    guardTable,
    `${counters.map(counting).join("\n")}
${["rate", "dhcp", "fragments"].map(limiting).join("\n")}
${learning("connections")}
  chain before-reassembly {
    type filter hook prerouting priority -450
    iifname ${taps} ip frag-off & 0x3fff != 0 update @fragments { iifname limit rate over ${fragmentsPerSecond}/second } drop
  }
  chain arrival {
    type filter hook prerouting priority raw - 10
    iifname ${taps} udp dport 67 update @dhcp { iifname limit rate over ${dhcpPerSecond}/second } drop
  }
  chain limits {
    type filter hook prerouting priority mangle
    ct state established,related accept
    iifname != ${taps} accept
    udp dport 67 goto limited
    update @came-from { iifname }
    goto limited
  }
  chain limited {
    ct state new add @connections { iifname ct count over ${connections} } drop
    ct state new update @rate { iifname limit rate over ${newPerSecond}/second burst ${burst} packets } drop
  }
  chain before {
    type filter hook forward priority filter - 10
    ct state established,related accept
    oifname ${taps} update @came-to { oifname }
  }
  chain after {
    type filter hook forward priority filter + 10
    ct state established,related accept
    iifname ${taps} update @passed-from { iifname }
    oifname ${taps} update @passed-to { oifname }
  }
`,
  )
}

/** Taps that are gone stay in the sets: with the next look they are emptied. */
export const renewGuard = (namespace: string) => forgetTable(namespace, guardTable)

interface ListedSet {
  readonly set?: { readonly name: string; readonly elem?: readonly { readonly elem?: ListedElement }[] }
}
interface ListedElement {
  readonly val?: string
  readonly counter?: { readonly packets: number }
}

/**
 * Packets from and to a tap, outside of open connections, that were let through and that any filter on their way dropped. DHCP is
 * not counted.
 */
export async function readCounters(namespace: string, tap: string): Promise<{ passed: number; dropped: number }> {
  const list = async (...words: readonly string[]): Promise<readonly ListedSet[]> =>
    JSON.parse(await run([...inside(namespace), "nft", "-j", "list", ...words])).nftables
  const listed = [
    ...(await list("table", ...guardTable.split(" "))),
    ...(await list("set", ...filterTable.split(" "), refused)),
  ]
  const packets = (name: Counter | typeof refused) => {
    const found = listed.find(({ set }) => set?.name === name)?.set?.elem?.find(({ elem }) => elem?.val === tap)
    return found?.elem?.counter?.packets ?? 0
  }
  const passed = packets("passed-from") + packets("passed-to")
  return { passed, dropped: packets(refused) + Math.max(0, packets("came-from") + packets("came-to") - passed) }
}
