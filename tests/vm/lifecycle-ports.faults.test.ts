/** A guest's root writes what it likes to the ports that lead out of it: it costs the guest its own time, and the host a bounded amount. */
import assert from "node:assert/strict"
import { readFileSync, statSync } from "node:fs"
import { createConnection } from "node:net"
import { join } from "node:path"
import { test } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import { GetConsoleOutputCommand, RunInstancesCommand } from "@aws-sdk/client-ec2"
import { banner, type Cloud, inGuest, startCloud, until } from "./cloud.ts"
import { wrongIn } from "./orphans.ts"

const mebibyte = 1 << 20
/** What QEMU may take beside what it had: its ring, its queues, and the guest's own memory as the guest touches it. */
const growthBytes = 48 * mebibyte
/** The file and the one before it, half a MiB each, and what one reading of the ring may add. */
const consoleBytes = 1.5 * mebibyte
const writeSeconds = 10

interface Subject {
  readonly cloud: Cloud
  readonly id: string
  readonly address: string
  readonly pid: number
}

test("floods through the agent's port and the serial port stay the guest's own trouble", async (t) => {
  const cloud = await startCloud(t, 5203)
  const launch = {
    ImageId: cloud.imageId,
    InstanceType: "t2.micro",
    KeyName: "test",
    MinCount: 1,
    MaxCount: 1,
  } as const
  await cloud.client.send(new RunInstancesCommand(launch))
  await cloud.settled()
  const [{ InstanceId: id = "", PublicIpAddress: address = "" } = {}] = await cloud.instances()
  await until("a login", 300_000, async () =>
    (await banner(address)) === undefined
      ? undefined
      : inGuest(cloud, address, "sudo modprobe virtio_console").catch(() => undefined),
  )
  const pid = (await cloud.processes()).get(`qemu ${id}`)
  assert.ok(pid)
  const subject = { cloud, id, address, pid }
  const say = (line: string) => t.diagnostic(line)
  await t.test("50 MB of garbage on the agent's port block who writes it, read or not", () => agent(subject, say))
  await t.test("a serial port written as fast as can be leaves a bounded log", () => serial(subject, say))
  await t.test("and so without a daemon", () => withoutDaemon(subject, say))
  await cloud.settled()
  assert.deepEqual(await wrongIn(cloud), [])
})

const residentBytes = (pid: number) =>
  1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1])

/** Starts a program of the guest's root that goes on without a session; it writes what it ends with to the file `done`. */
function inBackground({ cloud, address }: Subject, command: string, done: string): Promise<string> {
  const begin = `sudo setsid sh -c 'echo >/run/begun; ${command}; echo $? >${done}' >/dev/null 2>&1 </dev/null &`
  return inGuest(cloud, address, `sudo rm -f /run/begun; ${begin} until [ -e /run/begun ]; do usleep 50000; done`)
}

/** How long the guest and the API take to answer, milliseconds. */
async function answers({ cloud, address }: Subject): Promise<number> {
  const startMs = performance.now()
  assert.equal(await inGuest(cloud, address, "echo here"), "here")
  assert.equal((await cloud.instances())[0]?.State?.Name, "running")
  return Math.round(performance.now() - startMs)
}

async function agent(subject: Subject, say: (line: string) => void): Promise<void> {
  const { cloud, id, address, pid } = subject
  const write = "head -c 52428800 /dev/urandom >/dev/vport0p1"
  await inBackground(subject, write, "/run/garbage")
  const before = residentBytes(pid)
  const blocked = async () =>
    (await inGuest(cloud, address, "[ -e /run/garbage ] && echo ended || echo blocked")) === "blocked"
  assert.ok(await blocked())
  // Somebody who connects and does not read is the worst case for whoever holds the bytes in between.
  const socket = createConnection(join(cloud.run, "guests", id, "sockets/agent.sock"))
  try {
    socket.pause()
    await until("the connection", 30_000, async () => socket.readyState === "open" || undefined)
    const ms = await answers(subject)
    assert.ok(await blocked())
    const grown = residentBytes(pid) - before
    say(
      `agent's port: the writer is blocked, QEMU grew by ${Math.round(grown / 1024)} KiB, guest and API answer in ${ms} ms`,
    )
    assert.ok(grown < growthBytes, `QEMU grew by ${grown} bytes`)
    // All of it is taken by somebody who reads: nothing of ours waits for the guest, and the port is free again.
    let taken = 0
    socket.on("data", (bytes: Buffer) => (taken += bytes.length))
    socket.resume()
    await until("the writer ends", 240_000, async () => !(await blocked()) || undefined)
    assert.equal(await inGuest(cloud, address, "sudo cat /run/garbage"), "0")
    await until("all has come out", 240_000, async () => taken === 52_428_800 || undefined)
  } finally {
    socket.destroy()
  }
  assert.ok(residentBytes(pid) - before < growthBytes)
}

const flood = `timeout ${writeSeconds} cat /dev/zero | tr "\\0" x | tee /dev/ttyS0 | wc -c >/run/flood`

/** Bytes that the flood wrote, as the guest counts. */
async function flooded({ cloud, address }: Subject): Promise<number> {
  const end = () => inGuest(cloud, address, "sudo cat /run/flooded 2>/dev/null").catch(() => undefined)
  await until("the flood ends", 1000 * writeSeconds + 240_000, async () => (await end()) || undefined)
  const bytes = Number(await inGuest(cloud, address, "sudo cat /run/flood; sudo rm /run/flood /run/flooded"))
  assert.ok(bytes > 100_000, `the flood was one: ${bytes} bytes`)
  return bytes
}

function logBytes({ cloud, id }: Subject): number {
  const sizes = ["console.log", "console.log.old"].map((name) => join(cloud.run, "guests", id, name))
  return sizes.reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0)
}

const toIssue = (bytes: number) => `200 MB would take ${Math.round((200e6 / bytes) * writeSeconds)} s`

async function serial(subject: Subject, say: (line: string) => void): Promise<void> {
  const { cloud, id, pid } = subject
  const before = residentBytes(pid)
  await inBackground(subject, flood, "/run/flooded")
  let slowestMs = 0
  let longest = 0
  for (const end = performance.now() + 1000 * writeSeconds; performance.now() < end; await delay(500)) {
    slowestMs = Math.max(slowestMs, await answers(subject))
    await cloud.client.send(new GetConsoleOutputCommand({ InstanceId: id, Latest: true }))
    longest = Math.max(longest, logBytes(subject))
  }
  const bytes = await flooded(subject)
  longest = Math.max(longest, logBytes(subject))
  const grown = residentBytes(pid) - before
  say(
    `serial port: ${bytes} bytes in ${writeSeconds} s (${toIssue(bytes)}); log at most ${longest} bytes, QEMU grew by ` +
      `${Math.round(grown / 1024)} KiB, guest and API answer in ${slowestMs} ms at most`,
  )
  assert.ok(longest > 0 && longest <= consoleBytes, `the log had ${longest} bytes`)
  assert.ok(grown < growthBytes, `QEMU grew by ${grown} bytes`)
  const { Output: output } = await cloud.client.send(new GetConsoleOutputCommand({ InstanceId: id, Latest: true }))
  const shown = Buffer.from(output ?? "", "base64").toString()
  assert.ok(shown.length <= 65_536)
  assert.match(shown, /x{1000}/, "the newest is what is shown")
}

async function withoutDaemon(subject: Subject, say: (line: string) => void): Promise<void> {
  const { cloud, pid } = subject
  const host = (await cloud.processes()).get("fractus-host")
  assert.ok(host)
  process.kill(host, "SIGKILL")
  const before = residentBytes(pid)
  const log = logBytes(subject)
  await inBackground(subject, flood, "/run/flooded")
  const bytes = await flooded(subject)
  assert.equal(logBytes(subject), log, "nobody was there to read")
  const grown = residentBytes(pid) - before
  say(
    `without a daemon: ${bytes} bytes in ${writeSeconds} s (${toIssue(bytes)}); QEMU grew by ${Math.round(grown / 1024)} KiB`,
  )
  assert.ok(grown < growthBytes, `QEMU grew by ${grown} bytes`)
  await cloud.up()
  await answers(subject)
  assert.ok(logBytes(subject) <= consoleBytes)
}
