/** Commands inside network namespaces, few processes each. `undefined` is the host's own namespace. */
import { readdir, readlink } from "node:fs/promises"
import { run } from "./command.ts"

export type Namespace = string | undefined

const directory = "/run/netns"

export const namespacePath = (name: string) => `${directory}/${name}`

/** The argv prefix that runs a program in a namespace, in the same process: no fork, no mount namespace. */
export const inside = (namespace: Namespace): string[] =>
  namespace === undefined ? [] : ["nsenter", `--net=${namespacePath(namespace)}`]

const ipArguments = (namespace: Namespace) => (namespace === undefined ? ["ip"] : ["ip", "-n", namespace])

/** One `ip` command. */
export const ip = (namespace: Namespace, ...args: string[]) => run([...ipArguments(namespace), ...args])

/** Many `ip` commands in one process, in order; stops at the first that fails. No process for none. */
export async function ipBatch(namespace: Namespace, lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await run([...ipArguments(namespace), "-batch", "-"], { input: `${lines.join("\n")}\n` })
}

/** For removals: goes on after a line that fails, because what is gone already need not be removed. */
export async function ipBatchForgiving(namespace: Namespace, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return
  await run([...ipArguments(namespace), "-force", "-batch", "-"], { input: `${lines.join("\n")}\n` }).catch(() => {})
}

/** `ip -j …`, parsed. */
export async function ipJson<T>(namespace: Namespace, ...args: string[]): Promise<T[]> {
  const text = await run([...ipArguments(namespace), "-j", ...args])
  if (text.trim() === "") return []
  const listed: T[] = JSON.parse(text)
  return listed
}

/** One atomic nft transaction. */
export const nft = (namespace: Namespace, text: string) =>
  run([...inside(namespace), "nft", "-f", "-"], { input: text })

/** Set sysctls; keys as in "net.ipv4.ip_forward". */
export async function sysctl(namespace: Namespace, values: Readonly<Record<string, number>>): Promise<void> {
  const settings = Object.entries(values).map(([key, value]) => `${key}=${value}`)
  await run([...inside(namespace), "sysctl", "-q", "-e", "-w", ...settings])
}

export async function readSysctl(namespace: Namespace, key: string): Promise<number> {
  return Number(await run([...inside(namespace), "sysctl", "-n", key]))
}

/** Names of the namespaces that start so. */
export async function namespaces(prefix: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => [])
  return names.filter((name) => name.startsWith(prefix))
}

/**
 * Namespaces of ours carry their name inside, on `lo`, with the namespace of the host that they belong to: where a container
 * sees the processes of its machine, a home in the one and a home in the other have the same names.
 */
const label = async (name: string) => `${name} of ${await readlink("/proc/self/ns/net")}`

/**
 * A namespace whose file was wiped from /run goes on with the processes in it, and is given its name back. Undefined when
 * no process stands in such a one.
 */
async function processInside(name: string): Promise<string | undefined> {
  const inodes = new Map<string, string>()
  for (const pid of (await readdir("/proc")).filter((entry) => /^[0-9]+$/.test(entry))) {
    const inode = await readlink(`/proc/${pid}/ns/net`).catch(() => undefined)
    if (inode !== undefined && !inodes.has(inode)) inodes.set(inode, pid)
  }
  inodes.delete(await readlink("/proc/self/ns/net"))
  const alias = await label(name)
  for (const pid of inodes.values()) {
    const shown = await run(["nsenter", `--net=/proc/${pid}/ns/net`, "ip", "-j", "link", "show", "lo"]).catch(() => "")
    if (shown.includes(`"ifalias":"${alias}"`)) return pid
  }
  return undefined
}

/**
 * Make a namespace unless it is there, by name or without. A file left by a kill between creating and mounting is no
 * namespace: remade. `lookForLost` costs some 20 ms when there is none: for what should be there. `lines`: what `ip` does in one that
 * was made, in the same process as what comes with every one.
 */
export async function addNamespace(
  name: string,
  lookForLost = false,
  lines: readonly string[] = [],
): Promise<"made" | "found"> {
  if ((await namespaces(name)).includes(name)) {
    const alive = await ip(name, "link", "show", "lo").then(
      () => true,
      () => false,
    )
    if (alive) return "found"
    await deleteNamespace(name)
  }
  const pid = lookForLost ? await processInside(name) : undefined
  if (pid !== undefined) {
    await ip(undefined, "netns", "attach", name, pid)
    return "found"
  }
  await ip(undefined, "netns", "add", name)
  await ipBatch(name, [`link set lo alias "${await label(name)}"`, ...lines])
  return "made"
}

export async function deleteNamespace(name: string): Promise<void> {
  if (!(await namespaces(name)).includes(name)) return
  await ip(undefined, "netns", "del", name).catch(async (error: unknown) => {
    if ((await namespaces(name)).includes(name)) throw error
  })
}

/** Processes in a namespace. */
export async function processesIn(name: string): Promise<number[]> {
  const text = await ip(undefined, "netns", "pids", name)
  return text.split("\n").filter(Boolean).map(Number)
}

/** Quiet defaults of every namespace of ours: no IPv6, no redirects, no source routes, no reverse path filter of the host's. */
export const quietSysctls = {
  "net.ipv6.conf.all.disable_ipv6": 1,
  "net.ipv6.conf.default.disable_ipv6": 1,
  "net.ipv4.conf.all.rp_filter": 0,
  "net.ipv4.conf.default.rp_filter": 0,
  "net.ipv4.conf.all.accept_redirects": 0,
  "net.ipv4.conf.default.accept_redirects": 0,
  "net.ipv4.conf.all.send_redirects": 0,
  "net.ipv4.conf.default.send_redirects": 0,
  "net.ipv4.conf.all.accept_source_route": 0,
  "net.ipv4.conf.default.accept_source_route": 0,
  "net.ipv4.conf.all.proxy_arp": 0,
}
