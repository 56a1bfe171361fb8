/**
 * A host whose firewall speaks to the old ip_tables, which nft does not show: there, too, our traffic is accepted before a
 * FORWARD chain drops it. Where nobody uses ip_tables nothing is done: a look would already make its tables.
 */
import { run } from "./command.ts"
import { inside, type Namespace } from "./namespaces.ts"
import type { Names } from "./names.ts"

const program = "iptables-legacy"

async function isInUse(namespace: Namespace): Promise<boolean> {
  const tables = await run([...inside(namespace), "cat", "/proc/self/net/ip_tables_names"]).catch(() => "")
  return tables.split("\n").includes("filter")
}

const legacy = (namespace: Namespace, ...args: string[]) => run([...inside(namespace), program, "-w", "5", ...args])

const acceptRules = ({ hostDevice, prefix }: Names) =>
  ["-i", "-o"].map((way) => [way, hostDevice, "-m", "comment", "--comment", `fractus ${prefix}`, "-j", "ACCEPT"])

/** Accept what passes our device, first of all. Idempotent. Throws where ip_tables is in use and its program is missing. */
export async function acceptInLegacy(namespace: Namespace, names: Names): Promise<void> {
  if (!(await isInUse(namespace))) return
  const chain = await legacy(namespace, "-S", "FORWARD")
  if (!/^-P FORWARD DROP$|-j (DROP|REJECT)|^-A FORWARD .*-j [A-Za-z]/m.test(chain)) return
  for (const rule of acceptRules(names)) {
    const there = legacy(namespace, "-C", "FORWARD", ...rule)
    await there.catch(() => legacy(namespace, "-I", "FORWARD", "1", ...rule))
  }
}

/** Take the rules back, as often as they are there. */
export async function leaveLegacy(namespace: Namespace, names: Names): Promise<void> {
  if (!(await isInUse(namespace))) return
  for (const rule of acceptRules(names)) {
    const remove = () =>
      legacy(namespace, "-D", "FORWARD", ...rule).then(
        () => true,
        () => false,
      )
    for (let left = 8; left > 0 && (await remove()); left--);
  }
}
