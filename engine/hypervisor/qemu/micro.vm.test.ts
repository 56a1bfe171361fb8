import assert from "node:assert/strict"
import { execFile, execFileSync, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readlinkSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { after, test } from "node:test"
import { buildImage } from "#images/build.ts"
import { microRecipe } from "#images/micro/recipe.ts"
import { systemClock } from "#lib/clock.ts"
import { until } from "../conformance.ts"
import type { MachineSpec } from "../types.ts"
import { openQemu } from "./driver.ts"

const home = mkdtempSync(path.join(tmpdir(), "fr-hvm-"))
const prefix = path.basename(home)
const namespaces = [`${prefix}-a`, `${prefix}-b`] as const
const [first, second] = namespaces
mkdirSync(path.join(home, "state"))

const undo: (() => void)[] = [() => rmSync(home, { recursive: true, force: true })]
after(() => {
  for (const step of undo.toReversed()) step()
})
const ip = (...args: string[]) => execFileSync("ip", args, { encoding: "utf8" })

/** A tap in the first namespace; in the second, someone who answers DHCP. */
function network(): void {
  for (const namespace of namespaces) {
    ip("netns", "add", namespace)
    undo.push(() => ip("netns", "del", namespace))
  }
  ip("-n", first, "tuntap", "add", "dev", "tap0", "mode", "tap", "user", "2099998", "vnet_hdr")
}
function move(): void {
  ip("-n", first, "link", "set", "tap0", "netns", second)
  ip("-n", second, "link", "set", "tap0", "up")
  ip("-n", second, "addr", "add", "192.0.2.1/24", "dev", "tap0")
  const range = "--dhcp-range=192.0.2.10,192.0.2.10,255.255.255.0,1h"
  const quiet = [
    "--keep-in-foreground",
    "--conf-file=/dev/null",
    "--port=0",
    "--pid-file",
    "--leasefile-ro",
    "--no-ping",
  ]
  const args = ["netns", "exec", second, "dnsmasq", ...quiet, "--interface=tap0", range]
  const server = spawn("ip", args, { stdio: "ignore" })
  undo.push(() => server.kill("SIGKILL"))
}

/** How the guest's kernel answers on a port where nobody listens, asked from inside the second namespace. */
function knock(): Promise<string | undefined> {
  const ask =
    'require("net").connect(9, "192.0.2.10").setTimeout(1000, process.exit)' +
    '.on("error", (error) => (process.stdout.write(error.code), process.exit()))'
  const args = [`--net=/run/netns/${second}`, process.execPath, "-e", ask]
  return new Promise((resolve) => {
    execFile("nsenter", args, (_error, stdout) => resolve(stdout === "ECONNREFUSED" ? stdout : undefined))
  })
}

/** Number of pixels of a PPM that are not dark. */
function brightness(picture: Buffer): number {
  const head = /^P6\n\d+ \d+\n255\n/.exec(picture.toString("latin1", 0, 32))?.[0] ?? assert.fail("no PPM")
  let bright = 0
  for (let at = head.length; at < picture.length; at += 3) if (picture[at]! > 0x60) bright++
  return bright
}

test("a real kernel boots from an overlay that its user cannot open, and is reached through a moved tap", async (t) => {
  const image = await buildImage(microRecipe, { directory: path.join(home, "images") })
  // Below a directory that is closed to the guest's user.
  const closed = path.join(home, "closed")
  mkdirSync(closed, { mode: 0o700 })
  const disk = path.join(closed, "root.qcow2")
  execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image.diskPath, disk])
  const backing = { path: image.diskPath, format: "qcow2" } as const
  network()
  const nic = { id: "eni-1", mac: "02:00:00:00:00:01", mtu: 1500, device: "tap0", namespace: first }
  const uuid = "ec2c0de0-0000-4000-8000-000000000001"
  const spec: MachineSpec = {
    id: "i-micro",
    architecture: "x86_64",
    vcpus: 1,
    memoryMiB: 256,
    uid: 2_099_998,
    uuid,
    manufacturer: "Example",
    product: "t3.micro",
    nics: [nic],
    boot: { kind: "kernel", ...image },
    disks: [{ id: "vol-root", serial: "volroot", path: disk, format: "qcow2", backing, bootIndex: 0 }],
  }
  const clock = systemClock()
  const options = { runDirectory: path.join(home, "run"), stateDirectory: path.join(home, "state"), prefix, clock }
  const engine = await openQemu({ ...options, log: (line) => t.diagnostic(line) })
  undo.push(() => void engine.close())
  try {
    const startMs = performance.now()
    const { pid } = await engine.prepare(spec)
    const preparedMs = performance.now() - startMs
    assert.equal(readlinkSync(`/proc/${pid}/ns/net`), `net:[${statSync(`/run/netns/${first}`).ino}]`)
    move()
    await engine.resume(spec.id)
    await until("user space", async () => (await engine.consoleOutput(spec.id, 1 << 20)).includes("userspace up"))
    const userspaceMs = performance.now() - startMs
    await until("the guest to answer", knock, 240_000)
    t.diagnostic(
      `prepared ${preparedMs | 0} ms, user space ${userspaceMs | 0} ms, answer ${(performance.now() - startMs) | 0} ms`,
    )
    t.diagnostic(
      execFileSync("grep", ["-E", "VmRSS|VmHWM", `/proc/${pid}/status`])
        .toString()
        .replaceAll(/\s+/g, " "),
    )
    await until("text on the display", async () => brightness(await engine.screenshot(spec.id, true)) > 1000)
    t.diagnostic(`picture: ${Buffer.byteLength(await engine.screenshot(spec.id, false))} bytes`)
    // A guest hears the button only once its acpid listens.
    const gone = async () => {
      const { phase, cause } = await engine.inspect(spec.id)
      if (phase !== "exited") await engine.requestShutdown(spec.id).catch(() => {})
      return phase === "exited" && cause
    }
    assert.equal(await until("the end", gone, 240_000), "requested")
  } finally {
    await engine.kill(spec.id)
    await engine.remove(spec.id)
    await engine.close()
  }
})
