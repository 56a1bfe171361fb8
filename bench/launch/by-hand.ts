/**
 * The same guest as a patient person would start it: QEMU with the same arguments and files, on a tap in a namespace where DHCP and
 * a metadata service already listen. All but QEMU itself is there before the clock starts.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs"
import { networkInterfaces, tmpdir } from "node:os"
import { join } from "node:path"
import { openCgroups } from "#engine/hypervisor/qemu/cgroup.ts"
import { run } from "#engine/network/linux/command.ts"
import { insideMtu } from "#engine/network/linux/names.ts"
import { addNamespace, deleteNamespace, inside, ip, ipBatch, sysctl } from "#engine/network/linux/namespaces.ts"
import { launchMs, type Model } from "./cloud.ts"
import { type Contact, firstContact } from "./first-contact.ts"

const [hostSide, handSide, gateway, guest] = freeAddresses()
const guestMask = "255.255.255.128"
const [tap, metadataAddress, resolverAddress] = ["tap0", "169.254.169.254", "169.254.169.253"]

export interface ByHand {
  /** From the start of QEMU's process on. The guest is ended afterwards. */
  launch(): Promise<Contact>
  close(): Promise<void>
}

/** `key`: the private part of what the model lets in. */
export async function openByHand({ argv, files, metadata }: Model, key: string): Promise<ByHand> {
  const directory = mkdtempSync(join(tmpdir(), "fractus-hand-"))
  const namespace = `fh${process.pid}`
  const children = new Set<ChildProcess>()
  // The scheduler shares a busy machine out among groups: without one of its own this guest would get less than ours.
  const cgroups = openCgroups(namespace)
  const joins = cgroups.ensure("hand", { cpuPercent: 200, memoryMiB: 4096, threads: 256 })
  const start = (words: readonly string[], stdio: Parameters<typeof spawn>[2]) => {
    const [program = "", ...args]: readonly string[] = [...inside(namespace), ...words]
    const child = spawn(program, args, stdio ?? {})
    children.add(child)
    child.once("close", () => children.delete(child))
    return child
  }
  const close = async () => {
    await Promise.all([...children].map(end))
    await cgroups.remove("hand")
    await ip(undefined, "link", "del", namespace).catch(() => {})
    await deleteNamespace(namespace)
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    const mac = /mac=([0-9a-f:]{17})/.exec(argv.join(" "))?.[1] ?? ""
    await wire(namespace)
    await serveGuest(directory, mac, metadata, start)
    const [overlay = "", image = "", ...payload] = files
    const sizeBytes = await virtualSize(overlay)
    let count = 0
    return {
      async launch() {
        const own = join(directory, String(count++))
        mkdirSync(own)
        const disk = join(own, "disk.qcow2")
        await run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", disk, String(sizeBytes)])
        // dnsmasq puts its own in the place of this with every lease.
        await ip(namespace, "neigh", "replace", guest, "lladdr", mac, "dev", tap, "nud", "permanent")
        const fds = [openSync(disk, "r+"), ...[image, ...payload].map((path) => openSync(path, "r"))]
        try {
          const started = performance.now()
          const child = start(argvByHand(argv), { cwd: own, stdio: ["ignore", "ignore", "inherit", ...fds] })
          for (const file of joins) writeFileSync(file, String(child.pid))
          const ended = once(child, "exit").then(() => Promise.reject(new Error("QEMU by hand ended by itself")))
          const contact = await firstContact({ address: guest, user: "ec2-user", key }, started, launchMs, ended)
          ended.catch(() => {})
          await end(child)
          return contact
        } finally {
          for (const fd of fds) closeSync(fd)
          rmSync(own, { recursive: true, force: true })
        }
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** From the ranges for documentation (RFC 5737), routed nowhere; but a machine may have taken one of them for its own link. */
function freeAddresses(): readonly [string, string, string, string] {
  const own = Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address))
  const range = ["192.0.2", "198.51.100", "203.0.113"].find(
    (each) => !own.some((address) => address.startsWith(`${each}.`)),
  )
  if (range === undefined) throw new Error("every range for documentation (RFC 5737) is in use on this machine")
  return [`${range}.1`, `${range}.2`, `${range}.129`, `${range}.130`]
}

/** Nobody has to say "go" to this one, and its tap has another name. */
const argvByHand = (argv: readonly string[]) =>
  argv.filter((word) => word !== "-S").map((word) => word.replace(/ifname=[^,]+/, `ifname=${tap}`))

async function wire(namespace: string): Promise<void> {
  await addNamespace(namespace)
  await ip(undefined, "link", "add", namespace, "type", "veth", "peer", "name", "host", "netns", namespace)
  await sysctl(namespace, { "net.ipv4.ip_forward": 1 })
  await ipBatch(namespace, [
    "link set lo up",
    `addr add ${metadataAddress}/32 dev lo`,
    `addr add ${resolverAddress}/32 dev lo`,
    `addr add ${handSide}/30 dev host`,
    "link set host up",
    `route add default via ${hostSide}`,
    `tuntap add dev ${tap} mode tap vnet_hdr`,
    `link set ${tap} mtu ${insideMtu} up`,
    `addr add ${gateway}/25 dev ${tap}`,
  ])
  await ipBatch(undefined, [
    `addr add ${hostSide}/30 dev ${namespace}`,
    `link set ${namespace} up`,
    `route add ${guest}/32 via ${handSide} dev ${namespace}`,
  ])
}

/** DHCP and metadata, up before any guest. */
async function serveGuest(
  directory: string,
  mac: string,
  metadata: object,
  start: (words: readonly string[], options: Parameters<typeof spawn>[2]) => ChildProcess,
): Promise<void> {
  const configuration = join(directory, "dnsmasq.conf")
  const lines = [
    "port=0",
    "conf-file=",
    "no-ping",
    "leasefile-ro",
    "dhcp-authoritative",
    "log-facility=-",
    "quiet-dhcp",
    "user=",
    `interface=${tap}`,
    `dhcp-range=${gateway},static,${guestMask},1h`,
    `dhcp-host=${mac},${guest},by-hand`,
    `dhcp-option=option:router,${gateway}`,
    `dhcp-option=option:dns-server,${resolverAddress}`,
    `dhcp-option=option:mtu,${insideMtu}`,
  ]
  writeFileSync(configuration, `${lines.join("\n")}\n`)
  const documents = join(directory, "metadata")
  mkdirSync(documents)
  writeFileSync(join(documents, `${guest}.json`), JSON.stringify(metadata))
  writeFileSync(join(documents, "token.key"), randomBytes(32))
  start(["dnsmasq", "--keep-in-foreground", `--conf-file=${configuration}`], { stdio: "ignore" })
  const main = new URL("../../guest-services/main.ts", import.meta.url).pathname
  const argv = [process.execPath, "--disable-warning=ExperimentalWarning", main, "--directory", documents]
  const services = start(argv, { stdio: ["ignore", "pipe", "inherit"] })
  const early = once(services, "exit").then(() => Promise.reject(new Error("guest-services by hand did not start")))
  await Promise.race([once(services.stdout!, "data"), early])
  early.catch(() => {})
}

async function virtualSize(path: string): Promise<number> {
  const facts: { "virtual-size": number } = JSON.parse(
    await run(["qemu-img", "info", "--force-share", "--output=json", path]),
  )
  return facts["virtual-size"]
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, "exit")
  child.kill("SIGKILL")
  await ended
}
