/**
 * Compares the machine with what the API says: every running instance has all of its parts, and nothing else of this home is there.
 * Gives what is wrong, in words; nothing when all is as said.
 */
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { DescribeVolumesCommand, type Instance } from "@aws-sdk/client-ec2"
import type { NetworkDocument } from "#host/protocol/types.ts"
import { banner, type Cloud, until } from "./cloud.ts"

const run = (command: string, ...words: readonly string[]) =>
  execFileSync(command, words, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
const lines = (text: string) => text.split("\n").filter((line) => line !== "")
/** Five guests that boot at once under emulation on two busy cores take their time. */
const bannerMs = 180_000
/** What is settled for the API can take a moment more below it: rules of a port go after its guest. Well under a resync's 30 s. */
const patienceMs = 10_000

export async function wrongIn(cloud: Cloud): Promise<readonly string[]> {
  const end = performance.now() + patienceMs
  for (;;) {
    const { wrong, running } = await compare(cloud)
    if (wrong.length === 0 || performance.now() > end) return [...wrong, ...(await silent(running))]
    await delay(200)
  }
}

async function compare(cloud: Cloud): Promise<{ wrong: readonly string[]; running: readonly Instance[] }> {
  const instances = await cloud.instances()
  const present = instances.filter(({ State }) => State?.Name !== "terminated")
  const running = present.filter(({ State }) => State?.Name === "running")
  const odd = present.filter(({ State }) => !["running", "stopped"].includes(State?.Name ?? ""))
  const { Volumes: volumes = [] } = await cloud.client.send(new DescribeVolumesCommand({}))
  const ids = present.map(({ InstanceId }) => InstanceId ?? "")
  const wrong = [
    ...odd.map(({ InstanceId, State }) => `${InstanceId} is ${State?.Name} though all is settled`),
    ...wrongProcesses(cloud, running),
    ...wrongNetwork(cloud, running, present),
    ...groups(cloud.prefix).flatMap(([controller, found]) => differences(`cgroup ${controller}`, found, ids, true)),
    ...differences("guest folder", list(join(cloud.run, "guests")), ids, true),
    ...differences(
      "guest record",
      list(join(cloud.home, "host/guests")).filter((name) => name.endsWith(".json")),
      ids.map((id) => `${id}.json`),
      true,
    ),
    ...differences(
      "file of volumes",
      list(join(cloud.home, "volumes")).filter((name) => !name.startsWith(".template-")),
      volumes.flatMap(({ VolumeId }) => [`${VolumeId}.json`, `${VolumeId}.qcow2`]),
    ),
  ]
  return { wrong, running }
}

/** Whatever is left of a home after `down`: nothing may be. */
export function leftOf({ prefix, run: folder, home }: Pick<Cloud, "prefix" | "run" | "home">): readonly string[] {
  const begins = (name: string) => name.startsWith(`${prefix}-`) || name.startsWith(`${prefix}t`)
  return [
    ...list("/run/netns")
      .filter(begins)
      .map((name) => `namespace ${name}`),
    ...lines(run("ip", "-o", "link"))
      .map((line) => line.split(/[:@] ?/)[1] ?? "")
      .filter(begins)
      .map((name) => `link ${name}`),
    ...lines(run("nft", "list", "tables"))
      .filter((line) => begins(line.split(" ").at(-1) ?? ""))
      .map((line) => `nft ${line}`),
    ...lines(run("ip", "route", "show", "table", "all"))
      .filter((line) => line.includes(`dev ${prefix}-`))
      .map((line) => `route ${line}`),
    ...lines(readFileSync("/proc/mounts", "utf8"))
      .filter((line) => line.includes(`${folder}/`) || line.includes(`/run/netns/${prefix}-`))
      .map((line) => `mount ${line}`),
    ...groups(prefix).map(([controller]) => `cgroup ${controller}/${prefix}`),
    ...ours(folder, home).map(({ pid, command }) => `process ${pid} ${command}`),
    ...list("/run/fractus/slots")
      .filter((name) => name === prefix.slice(2))
      .map((name) => `slot ${name}`),
    ...list(folder).map((name) => `file ${folder}/${name}`),
    ...list(join(home, "host/guests")).map((name) => `guest record ${name}`),
  ]
}

interface Found {
  readonly pid: number
  readonly command: string
}

/** Processes of a home: they are of its range of uids, or name its folders in their arguments or environment. */
function ours(folder: string, home: string): readonly Found[] {
  const uidBase = 2_000_000 + 10_000 * Number(folder.split("/").at(-1))
  return list("/proc").flatMap((name): readonly Found[] => {
    if (!/^\d+$/.test(name)) return []
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ").trim()
      const { uid } = statSync(`/proc/${name}`)
      const named = [`${folder}/`, `${home}/config.json`].some((path) => command.includes(path))
      const marked = readFileSync(`/proc/${name}/environ`, "latin1").includes(`FRACTUS_SUPERVISED=${folder}/`)
      // Tests of the network alone start DHCP servers of these users too, on folders of their own.
      const byUser = uid >= uidBase && uid < uidBase + 10_000 && !command.startsWith("dnsmasq ")
      if (command === "" || !(named || marked || byUser)) return []
      return [{ pid: Number(name), command }]
    } catch {
      return [] // It ended while we looked.
    }
  })
}

const guestOf = (command: string) => /-name guest=(i-[0-9a-f]+)\//.exec(command)?.[1]

function wrongProcesses({ run: folder, home }: Cloud, running: readonly Instance[]): readonly string[] {
  const found = ours(folder, home)
  const guests = found.flatMap(({ command }) => guestOf(command) ?? [])
  const kinds = { "daemon/main.ts": 1, "daemon/qemu/api.ts": 1, "guest-services/main.ts": 1 }
  const known = (command: string) =>
    guestOf(command) !== undefined ||
    command.startsWith("dnsmasq ") ||
    // Only where the host's resolvers need it.
    command.includes("guest-services/relay/main.ts") ||
    // Only where somebody asked for a serial console.
    command.includes("guest-services/serial-console/main.ts") ||
    Object.keys(kinds).some((k) => command.includes(k))
  return [
    ...differences(
      "QEMU process",
      guests,
      running.map(({ InstanceId }) => InstanceId ?? ""),
    ),
    ...Object.entries(kinds).flatMap(([kind, wanted]) => {
      const count = found.filter(({ command }) => command.includes(kind)).length
      return count === wanted ? [] : [`${count} processes of ${kind}`]
    }),
    ...differences(
      "DHCP server of network",
      found.flatMap(({ command }) => /networks\/(\d+)\/dnsmasq.conf/.exec(command)?.[1] ?? []),
      list(join(folder, "net/networks")),
    ),
    ...found.filter(({ command }) => !known(command)).map(({ pid, command }) => `process ${pid} ${command}`),
  ]
}

function wrongNetwork(
  { prefix, run: folder }: Cloud,
  running: readonly Instance[],
  present: readonly Instance[],
): readonly string[] {
  const numbers = running.map(({ InstanceId }) => portNumber(folder, InstanceId ?? ""))
  const networks = list(join(folder, "net/networks"))
  const addresses = running.map(({ PrivateIpAddress }) => PrivateIpAddress ?? "")
  const pools = running.map(({ PublicIpAddress }) => PublicIpAddress ?? "")
  const inside = networks.flatMap((number) => {
    const namespace = `${prefix}-n${number}`
    const rules = run("ip", "netns", "exec", namespace, "nft", "list", "table", "inet", "fractus")
    const set = (name: string) =>
      /elements = \{([^}]*)\}/.exec(rules.split(` ${name} {`)[1]?.split("\n\t}")[0] ?? "")?.[1]
    return {
      taps: [...run("ip", "-n", namespace, "-o", "link").matchAll(/(fr\d+t\d+)[:@]/g)].map((match) => match[1] ?? ""),
      privates: [...(set("online") ?? "").matchAll(/[\d.]+/g)].map(String),
      publics: [...(set("private") ?? "").matchAll(/([\d.]+) :/g)].map((match) => match[1] ?? ""),
      chains: [...rules.matchAll(/chain in-(\d+) /g)].map((match) => match[1] ?? ""),
    }
  })
  const documents = list(join(folder, "metadata"))
  const ofNetwork = (name: string) => name.startsWith("vpc-")
  const publicAddresses = (name: string) => {
    const { privateAddresses } = JSON.parse(readFileSync(join(folder, "metadata", name), "utf8")) as NetworkDocument
    return Object.keys(privateAddresses)
  }
  const all = (part: "taps" | "privates" | "publics" | "chains") => inside.flatMap((each) => each[part])
  return [
    ...differences(
      "namespace",
      list("/run/netns").filter((name) => name.startsWith(`${prefix}-`)),
      [
        `${prefix}-infra`,
        ...networks.map((number) => `${prefix}-n${number}`),
        ...numbers.map((number) => `${prefix}-g${number}`),
      ],
    ),
    ...differences(
      "namespace that is mounted",
      lines(readFileSync("/proc/mounts", "utf8")).flatMap(
        (line) => new RegExp(`/run/netns/(${prefix}-\\S+)`).exec(line)?.[1] ?? [],
      ),
      list("/run/netns").filter((name) => name.startsWith(`${prefix}-`)),
      true,
    ),
    ...differences(
      "tap",
      all("taps"),
      numbers.map((number) => `${prefix}t${number}`),
    ),
    ...differences("address in the rules", all("privates"), addresses),
    ...differences("public address in the rules", all("publics"), pools),
    // A stopped instance keeps its interface, and so its rules.
    ...differences(
      "chain of port",
      all("chains"),
      present.map(({ InstanceId }) => portNumber(folder, InstanceId ?? "")),
      true,
    ),
    ...differences("number of networks' documents", [`${documents.filter(ofNetwork).length}`], [`${networks.length}`]),
    ...differences("public address with a name", documents.filter(ofNetwork).flatMap(publicAddresses), pools),
    ...differences(
      "metadata document",
      documents.filter((name) => !ofNetwork(name)),
      numbers.map((number) => `${infraAddress(Number(number))}.json`).concat("token.key"),
    ),
    ...differences(
      "link of the infrastructure",
      [...run("ip", "-n", `${prefix}-infra`, "-o", "link").matchAll(/^\d+: ([^:@]+)/gm)].map((match) => match[1] ?? ""),
      ["lo", "host", ...networks.map((number) => `n${number}`)],
    ),
  ]
}

/** The number of an instance's interface, as its QEMU was told. */
function portNumber(folder: string, id: string): string {
  try {
    return /(?:fr\d+-g|fr\d+t)(\d+)/.exec(readFileSync(join(folder, "guests", id, "machine.json"), "utf8"))?.[1] ?? id
  } catch {
    return `of ${id}`
  }
}

const infraAddress = (number: number) => `100.${64 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`

/** Running instances that do not say what an SSH server says first. */
async function silent(running: readonly Instance[]): Promise<readonly string[]> {
  const heard = running.map(async ({ InstanceId, PublicIpAddress: address }) => {
    if (address === undefined) return [`${InstanceId} has no public address`]
    const line = until("a banner", bannerMs, () => banner(address)).catch(() => "nothing")
    return (await line).startsWith("SSH-2.0") ? [] : [`${InstanceId} at ${address} is running and does not answer`]
  })
  return (await Promise.all(heard)).flat()
}

/** What is there and was not wanted and, unless it may be missing, the other way round. A name twice is once too many. */
function differences(
  what: string,
  found: readonly string[],
  wanted: readonly string[],
  mayMiss = false,
): readonly string[] {
  const twice = found.filter((name, index) => found.indexOf(name) !== index)
  return [
    ...found.filter((name) => !wanted.includes(name)).map((name) => `orphaned ${what}: ${name}`),
    ...twice.map((name) => `twice: ${what} ${name}`),
    ...(mayMiss ? [] : wanted.filter((name) => !found.includes(name)).map((name) => `missing ${what}: ${name}`)),
  ]
}

/** Guests with a cgroup, by controller (v1) or in the one tree (v2). */
function groups(prefix: string): readonly (readonly [string, readonly string[]])[] {
  const base = "/sys/fs/cgroup"
  return ["", ...list(base)].flatMap((controller) => {
    const folder = join(base, controller, prefix)
    try {
      const entries = readdirSync(folder, { withFileTypes: true })
      return [[controller, entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)] as const]
    } catch {
      return []
    }
  })
}

function list(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
