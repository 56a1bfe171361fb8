/**
 * The root process on `--engine qemu`: engines, reconcilers and a socket; it starts the two parts that talk to others, the API and the
 * guests' services, as users of their own. It parses no HTTP and no XML.
 */
import { chownSync, closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { connect, createServer } from "node:net"
import { join, relative } from "node:path"
import { AddressesInUse } from "#engine/network/linux/host.ts"
import { insideMtu } from "#engine/network/linux/names.ts"
import { fileMetadata } from "#host/metadata.ts"
import type { HostConnection } from "#host/protocol/types.ts"
import { createHost } from "#host/reconcile/host.ts"
import { serveHost } from "#host/socket/server.ts"
import { supervise, type Supervised } from "#host/supervise/supervise.ts"
import type { HostOptions, ImageSource, PoolTarget } from "#host/types.ts"
import { type BuiltImage, readImage } from "#images/image-folder.ts"
import { findInstanceType } from "#services/ec2/instance-types/data.ts"
import { type Config, homeFiles } from "../config.ts"
import { codeAt, fewHeaps, isInside, tree, youngObjects } from "./code.ts"
import { startGuestServices } from "./guest-services.ts"
import { startNameRelay } from "./name-relay.ts"
import { ensureCredentials, type Failure, StartError, startTimeOf, writeWhole } from "../home-records.ts"
import { openSerialConsole } from "./serial-console.ts"
import { openStack, tearDown, type Stack } from "./stack.ts"
import { removeHome, whenAskerEnds } from "../throwaway.ts"

const apiReadyMs = 30_000
interface Child extends Pick<Supervised, "pid" | "stop"> {
  leave(): void | Promise<void>
}

interface User {
  readonly uid: number
  readonly gid: number
}

export async function runHost(config: Config, { throwaway = false } = {}): Promise<void> {
  const log = (message: string, fields?: object) => console.error(new Date().toISOString(), message, fields ?? "")
  await requireFreePort(config)
  requireTun()
  const user = findUser("fractus")
  const credentials = ensureCredentials(config.home, config.account, config.region, user)
  if (config.tls) (await import("../tls/keep.ts")).keepCertificates(config.home, log, user)
  mkdirSync(homeFiles(config.home).store, { recursive: true, mode: 0o700 })
  chownSync(homeFiles(config.home).store, user.uid, user.gid)

  const stack = await openStack(config, log)
  try {
    await serve(config, stack, user, log, throwaway)
  } catch (error) {
    await clearAfterFailure(stack, log)
    throw error
  }
  log("serving", { port: config.port, slot: stack.slot.number, account: credentials.account })
}

/** Throws for a type that there is not. */
function templatesOf({ warmPool }: Config, { slot }: Stack): NonNullable<HostOptions["templates"]> {
  const targets = (warmPool ?? "").split(",").filter(Boolean).map(poolTarget)
  return { uid: slot.uids.template, mtu: insideMtu, pool: { uids: slot.uids.pool, targets } }
}

function poolTarget(words: string): PoolTarget {
  const [name = "", count] = words.split("=")
  if (count === undefined) return { count: Number(name) }
  const type = findInstanceType(name)
  const [vcpus, memoryMiB] = [type?.VCpuInfo?.DefaultVCpus, type?.MemoryInfo?.SizeInMiB]
  if (vcpus === undefined || memoryMiB === undefined)
    throw new StartError(
      "internal",
      `--warm-pool: ${name} is not an instance type`,
      "./fractus up --warm-pool t3.micro=4",
    )
  return { size: { vcpus, memoryMiB }, count: Number(count) }
}

/** A start that failed leaves the machine as it was, unless guests of before are there: those go on, and the next start finds them. */
async function clearAfterFailure(stack: Stack, log: Log): Promise<void> {
  try {
    const ids = await stack.hypervisor.list()
    const phases = await Promise.all(ids.map(async (id) => (await stack.hypervisor.inspect(id)).phase))
    if (phases.some((phase) => phase !== "absent" && phase !== "exited")) return
    await tearDown(stack)
  } catch (error) {
    log("what a failed start left was not removed", { error: String(error) })
  }
}

/** The machine's own network is there first: ours goes elsewhere. */
function poolInUse(error: unknown): never {
  if (!(error instanceof AddressesInUse)) throw error
  throw new StartError("addresses", error.message, `./fractus up --public-cidr ${error.free ?? "CIDR"}`)
}

async function serve(config: Config, stack: Stack, user: User, log: Log, throwaway: boolean): Promise<void> {
  await stack.network.up().catch(poolInUse)
  const metadataDirectory = join(stack.runDirectory, "metadata")
  const metadata = await fileMetadata({ directory: metadataDirectory, gid: stack.slot.uids.guestServices })
  const children: Record<string, Child> = {}
  const host = createHost({
    ...stack,
    metadata,
    images: imageSource(homeFiles(config.home).images),
    log,
    uidBase: stack.slot.uidBase,
    ...(config.warm === "off" ? {} : { templates: templatesOf(config, stack) }),
    processes: () => [
      { name: "fractus-host", pid: process.pid },
      ...Object.entries(children).flatMap(([name, child]) => {
        const pid = child.pid()
        return pid === undefined ? [] : [{ name, pid }]
      }),
    ],
  })
  let ending = false
  const finish = async (guests: "stop" | "keep" | "kill") => {
    if (ending) return
    ending = true
    log(`ending; guests: ${guests}`)
    await children["fractus-api"]?.stop()
    await socket.close()
    await children["serial-console"]?.stop()
    await host.close()
    if (guests !== "keep") {
      await children["guest-services"]?.stop()
      await children["name-relay"]?.stop()
      await tearDown(stack, { ask: guests === "stop" })
    } else {
      await children["guest-services"]?.leave()
      await children["name-relay"]?.leave()
      // Guests go on; a template that is being made does not.
      await stack.hypervisor.close()
    }
    rmSync(homeFiles(config.home).record, { force: true })
    if (throwaway) removeHome(config.home)
    process.exit(0)
  }
  const serial = await openSerialConsole(stack, config, log)
  children["serial-console"] = { ...serial, leave: () => {} }
  const serialPorts: Pick<HostConnection, "serialKey" | "serialEndpoint"> = {
    serialKey: (guest, key) => serial.serialKey(guest, key),
    serialEndpoint: () => serial.serialEndpoint(),
  }
  const socketPath = join(stack.runDirectory, "host.sock")
  const socket = await serveHost(
    { ...host, ...serialPorts },
    {
      path: socketPath,
      owner: user,
      log,
      onShutdown: (guests) => void finish(guests),
    },
  )
  const guestsAtEnd = throwaway ? "kill" : "keep"
  process.once("SIGTERM", () => void finish(guestsAtEnd))
  process.once("SIGINT", () => void finish(guestsAtEnd))
  try {
    children["name-relay"] = await startNameRelay(stack, config, log)
    children["guest-services"] = await startGuestServices(stack, config, metadataDirectory, log)
    children["fractus-api"] = await startApi(config, stack, user, socketPath, log)
  } catch (error) {
    await children["guest-services"]?.stop()
    await children["name-relay"]?.stop()
    await children["serial-console"]?.stop()
    await socket.close()
    await host.close()
    throw error
  }
  const facts = await host.facts()
  writeWhole(homeFiles(config.home).record, {
    pid: process.pid,
    startTime: startTimeOf(process.pid),
    endpoint: `http://${config.address}:${config.port}`,
    engine: "qemu",
    accelerator: facts.accelerator,
  })
  if (throwaway) whenAskerEnds(() => void finish(guestsAtEnd))
}

type Log = (message: string, fields?: object) => void

/** The API sees the home under another name, so that folders above it may be closed to its user; only its store is writable. */
async function startApi(config: Config, stack: Stack, user: User, socket: string, log: Log): Promise<Supervised> {
  const home = join(stack.runDirectory, "home")
  const failure = join(config.home, "store", "failure.json")
  rmSync(failure, { force: true })
  const seen = codeAt(isInside(config.home) ? join(home, relative(config.home, tree)) : tree)
  return supervise({
    name: "fractus-api",
    argv: [
      seen(process.execPath),
      ...youngObjects,
      seen(join(tree, "daemon/qemu/api.ts")),
      home,
      socket,
      String(process.pid),
    ],
    ...user,
    bindMounts: [
      { from: config.home, to: home, readOnly: true },
      { from: join(config.home, "store"), to: join(home, "store"), readOnly: false },
    ],
    env: { ...fewHeaps, NODE_COMPILE_CACHE: join(home, "store", "compiled") },
    log,
    runDirectory: join(stack.runDirectory, "processes"),
    existing: "replace",
    readyMs: apiReadyMs,
    ready: async () => {
      refuseIfFailed(failure)
      return answers(config)
    },
  })
}

function refuseIfFailed(path: string): void {
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch {
    return
  }
  const { code, message, mend } = JSON.parse(text) as Failure
  throw new StartError(code, message, mend)
}

/** Does the API serve? By a bare socket: `fetch`, and what node:http brings with it, would stay here with 8 MB. */
function answers({ address, port }: Config): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: address, signal: AbortSignal.timeout(2000) })
    socket.on("error", () => resolve(false)).on("close", () => resolve(false))
    socket.write(`GET /_fractus/status HTTP/1.1\r\nHost: ${address}:${port}\r\nConnection: close\r\n\r\n`)
    socket.once("data", (start) => {
      resolve(start.toString("latin1").startsWith("HTTP/1.1 200 "))
      socket.destroy()
    })
  })
}

function requireFreePort({ address, port }: Config): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        error.code === "EADDRINUSE" ? new StartError("port", `port ${port} is taken`, "./fractus up --port N") : error,
      ),
    )
    probe.listen(port, address, () => probe.close(() => resolve()))
  })
}

/** Guests' network cards are taps. The kernel's module makes the device where udev or a container's owner did not. */
function requireTun(): void {
  try {
    closeSync(openSync("/dev/net/tun", "r+"))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new StartError("privilege", `guests need /dev/net/tun: ${why}`, "sudo modprobe tun")
  }
}

function findUser(name: string): User {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${name}:`))
  const [, , uid, gid] = line?.split(":") ?? []
  if (uid === undefined || gid === undefined)
    throw new StartError("privilege", `there is no user ${name}`, "sudo ./fractus up")
  return { uid: Number(uid), gid: Number(gid) }
}

/** Images of the home: a folder each, as `images/build.ts` makes them. */
function imageSource(directory: string): ImageSource {
  const all = async (): Promise<readonly BuiltImage[]> => {
    let names: string[] = []
    try {
      names = readdirSync(directory).filter((name) => name.startsWith("ami-"))
    } catch {
      // No image was built yet.
    }
    const found = await Promise.all(names.map((name) => readImage(join(directory, name))))
    return found.filter((image) => image !== undefined)
  }
  return {
    list: all,
    async find(id) {
      const image = (await all()).find((candidate) => candidate.id === id)
      if (image === undefined) return undefined
      const { architecture, bootKind, agent = false, copies = false, diskPath } = image
      if (bootKind === "firmware") return { architecture, diskPath, boot: { kind: "firmware", agent, copies } }
      const { commandLine, kernelPath, initrdPath } = image
      return { architecture, diskPath, boot: { kind: "kernel", kernelPath, initrdPath, commandLine, copies } }
    },
  }
}
