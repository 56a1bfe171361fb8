/** A guest for tests: QEMU under emulation, a user-mode network that leads nowhere, a metadata service in the test's own process. */
import assert from "node:assert/strict"
import { execFile, spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { readFile, writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import { createConnection } from "node:net"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { TestContext } from "node:test"
import { promisify } from "node:util"
import type { BuiltImage } from "../build.ts"

const execute = promisify(execFile)

export interface MetadataService {
  readonly port: number
  /** Path below /latest -> content. May be changed while a guest runs. */
  readonly tree: Map<string, string | Buffer>
  readonly requests: string[]
}

/** Version 2 only: without its token nothing but the token is answered. */
export async function startMetadata(context: TestContext, tree: Record<string, string>): Promise<MetadataService> {
  const service = { tree: new Map<string, string | Buffer>(Object.entries(tree)), requests: [] as string[] }
  const server = createServer((request, response) => {
    const path = (request.url ?? "").replace("/latest/", "")
    service.requests.push(`${request.method} ${path}`)
    if (request.method === "PUT" && path === "api/token" && request.headers["x-aws-ec2-metadata-token-ttl-seconds"]) {
      response.end("token-of-the-test==")
    } else if (request.headers["x-aws-ec2-metadata-token"] === "token-of-the-test==") {
      const content = service.tree.get(path)
      response.writeHead(content === undefined ? 404 : 200).end(content ?? "<html>404</html>")
    } else response.writeHead(401).end()
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  context.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  assert.ok(typeof address === "object" && address)
  return { ...service, port: address.port }
}

export interface Guest {
  readonly process: ChildProcess
  console(): Promise<string>
  /** Runs a command as ec2-user; its output. Fails when it does. */
  ssh(command: string): Promise<string>
  qmp(command: string, args?: object): Promise<unknown>
  /** Resolves when QEMU has ended by itself, in milliseconds since `startedMs`. */
  readonly ended: Promise<unknown>
  readonly sshPort: number
  readonly startedMs: number
}

export interface GuestOptions {
  readonly image: BuiltImage
  readonly disk: string
  readonly metadataPort: number
  readonly folder: string
  readonly name: string
  readonly uuid: string
  readonly memoryMiB: number
  /** Default `kernel`: handed over with the initrd. `firmware`: SeaBIOS and what it finds on the disk. */
  readonly boot?: "kernel" | "firmware"
  /** Volumes besides the root, in the order of the bus: their serial, made of nothing and held in memory. */
  readonly volumes?: readonly string[]
}

export async function startGuest(context: TestContext, options: GuestOptions): Promise<Guest> {
  const { folder, name } = options
  const serial = join(folder, `${name}.console`)
  const forwarder = join(folder, "forward.cjs")
  await writeFile(
    forwarder,
    `const s = require("net").connect(${options.metadataPort}, "127.0.0.1"); process.stdin.pipe(s); s.pipe(process.stdout)`,
  )
  const startedMs = performance.now()
  const child = spawn("qemu-system-x86_64", machineArguments(options, serial, forwarder), {
    stdio: ["pipe", "pipe", "inherit"],
  })
  const ended = once(child, "exit")
  context.after(async () => {
    child.kill("SIGKILL")
    await ended
  })
  const qmp = connectQmp(child)
  await qmp("qmp_capabilities")
  const network = await qmp("human-monitor-command", { "command-line": "info usernet" })
  const sshPort = Number(/HOST_FORWARD\S*\s+\d+\s+127\.0\.0\.1\s+(\d+)/.exec(String(network))?.[1])
  assert.ok(sshPort > 0, `no forwarded port in ${String(network)}`)
  return {
    process: child,
    console: () => readFile(serial, "utf8"),
    qmp,
    ended,
    sshPort,
    startedMs,
    ssh: async (command) =>
      (await execute("ssh", [...sshArguments(folder, sshPort), command], { timeout: 240_000 })).stdout,
  }
}

function machineArguments(options: GuestOptions, serial: string, forwarder: string): string[] {
  const network = [
    "user,id=n,restrict=on,net=169.254.0.0/16,dhcpstart=169.254.0.15,hostfwd=tcp:127.0.0.1:0-:22",
    `guestfwd=tcp:169.254.169.254:80-cmd:${process.execPath} ${forwarder}`,
  ].join(",")
  const disk = `qcow2,node-name=d,discard=unmap,detect-zeroes=unmap,file.driver=file,file.filename=${options.disk}`
  const words = {
    machine: [
      "-nodefaults",
      "-no-user-config",
      "-display",
      "none",
      "-M",
      "q35",
      "-accel",
      "tcg,tb-size=64",
      "-cpu",
      "max",
    ],
    guest: ["-m", String(options.memoryMiB), "-uuid", options.uuid, "-qmp", "stdio", "-serial", `file:${serial}`],
    boot: options.boot === "firmware" ? [] : kernelArguments(options.image),
    disk: ["-blockdev", disk, "-device", "virtio-blk-pci,drive=d"],
    volumes: (options.volumes ?? []).flatMap((serial) => [
      "-blockdev",
      `null-co,read-zeroes=on,size=67108864,node-name=${serial}`,
      "-device",
      `virtio-blk-pci,drive=${serial},serial=${serial}`,
    ]),
    plug: ["-device", "pcie-root-port,id=plug,slot=1"],
    network: ["-netdev", network, "-device", "virtio-net-pci,netdev=n,romfile=", "-device", "virtio-rng-pci"],
  }
  return Object.values(words).flat()
}

function kernelArguments({ kernelPath, initrdPath, commandLine }: BuiltImage): string[] {
  return ["-kernel", kernelPath, "-initrd", initrdPath, "-append", commandLine]
}

export function sshArguments(folder: string, port: number): string[] {
  const options = [
    "BatchMode=yes",
    "StrictHostKeyChecking=accept-new",
    `UserKnownHostsFile=${join(folder, "known_hosts")}`,
    "LogLevel=ERROR",
  ]
  // One name for all ports, so that a changed host key shows.
  const settings = [...options, "HostKeyAlias=guest", "ConnectTimeout=20"].flatMap((option) => ["-o", option])
  return ["-F", "none", "-i", join(folder, "key"), "-p", String(port), ...settings, "ec2-user@127.0.0.1"]
}

function connectQmp(child: ChildProcess): (command: string, args?: object) => Promise<unknown> {
  assert.ok(child.stdin && child.stdout)
  const input = child.stdin
  const waiting: ((answer: unknown) => void)[] = []
  createInterface(child.stdout).on("line", (line) => {
    const message: unknown = JSON.parse(line)
    if (typeof message !== "object" || message === null) return
    if ("return" in message) waiting.shift()?.(message.return)
    if ("error" in message) waiting.shift()?.(message)
  })
  return (command, args = {}) =>
    new Promise((resolve, reject) => {
      child.once("exit", () => reject(new Error(`QEMU ended before it answered ${command}`)))
      waiting.push(resolve)
      input.write(`${JSON.stringify({ execute: command, arguments: args })}\n`)
    })
}

/** Asks every 50 ms until `check` says something true. Fails after `timeoutMs`. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  check: () => Promise<T | undefined | false>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const answer = await check()
    if (answer !== undefined && answer !== false) return answer
    assert.ok(performance.now() < deadline, `${what}: not within ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** True when a server at `port` greets as SSH. */
export function greetsAsSsh(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, "127.0.0.1")
    socket.setTimeout(1000, () => socket.destroy())
    socket.once("data", (bytes: Buffer) => {
      resolve(bytes.toString("latin1").startsWith("SSH-2.0"))
      socket.destroy()
    })
    socket.on("error", () => {})
    socket.once("close", () => resolve(false))
  })
}
