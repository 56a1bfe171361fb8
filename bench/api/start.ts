/** The second start of a home, and the memory of an idle cloud. */
import { setTimeout as pause } from "node:timers/promises"
import { type Result, result } from "../report/result.ts"
import { ask, load } from "./client.ts"
import { call, firstImage, pairCount, runInstances } from "./compare.ts"
import { defaultRegion, ended, type Home, settled, withHome } from "./daemon.ts"
import { residentMiB } from "./processes.ts"
import { signedRequests } from "./sign.ts"

const deadlineMs = 30_000
const idleMs = 10_000
const calls = 1000
const memoryLimitMiB = 130

export async function measureStart(note: (text: string) => void): Promise<readonly Result[]> {
  return withHome(
    "on",
    async (home) => {
      const { port } = await furnish(home)
      note("second start")
      const timesMs: number[] = []
      for (let at = 0; at < pairCount; at++) timesMs.push(await startOnce(home, port))
      note("memory")
      return [
        result(
          "Second start, from exec to the answer of DescribeInstances",
          "s",
          0.4,
          timesMs.map((ms) => ms / 1000),
        ),
        ...(await measureMemory(home)),
      ]
    },
    await freePort(),
  )
}

/** A first start with an instance. A home in use is what is started again. */
async function furnish(home: Home): Promise<{ readonly port: number }> {
  const daemon = await home.start()
  await call(daemon, defaultRegion, { ...runInstances(1), ImageId: await firstImage(daemon) })
  await settled(daemon.port)
  await daemon.stop()
  return daemon
}

/** Milliseconds from starting the process until a signed call is answered whole. */
async function startOnce(home: Home, port: number): Promise<number> {
  const target = { port, credentials: home.credentials(), region: defaultRegion }
  const [request = Buffer.alloc(0)] = signedRequests(target, { Action: "DescribeInstances" }, 1)
  const startMs = performance.now()
  const child = home.spawn()
  try {
    for (;;) {
      try {
        await ask(port, request)
        return performance.now() - startMs
      } catch (error) {
        const refused = error instanceof Error && "code" in error && error.code === "ECONNREFUSED"
        if (!refused || performance.now() - startMs > deadlineMs) throw error
        await pause(2)
      }
    }
  } finally {
    await ended(child, "SIGTERM")
  }
}

async function measureMemory(home: Home): Promise<readonly Result[]> {
  const started: number[] = []
  const idle: number[] = []
  const used: number[] = []
  for (let at = 0; at < 3; at++) {
    const daemon = await home.start()
    started.push(residentMiB(daemon.pid))
    await call(daemon, defaultRegion, { Action: "DescribeInstances" })
    await pause(idleMs)
    idle.push(residentMiB(daemon.pid))
    const signed = signedRequests({ ...daemon, region: defaultRegion }, { Action: "DescribeInstances" }, calls)
    await load(daemon.port, signed, calls)
    await pause(idleMs)
    used.push(residentMiB(daemon.pid))
    await daemon.stop()
  }
  return [
    result("Memory of a simulated cloud after its start", "MiB", memoryLimitMiB, started),
    result("Memory of a simulated cloud, idle for 10 s after its first call", "MiB", memoryLimitMiB, idle),
    result(`Memory of a simulated cloud, idle for 10 s after ${calls} calls`, "MiB", memoryLimitMiB, used),
  ]
}

async function freePort(): Promise<number> {
  const { createServer } = await import("node:net")
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
}
