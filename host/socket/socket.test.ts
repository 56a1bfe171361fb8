import assert from "node:assert/strict"
import { mkdtemp, rm, stat } from "node:fs/promises"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { hostConformance, type Reach } from "../conformance.ts"
import { everything, guest, volume } from "../harness.ts"
import type { Assignment, HostConnection } from "../protocol/types.ts"
import { connectHost } from "./client.ts"
import { serveHost } from "./server.ts"

const overSocket: Reach = async (host) => {
  const directory = await mkdtemp(join(tmpdir(), "fractus-socket-"))
  const server = await serveHost(host, { path: join(directory, "host"), log: () => {} })
  const client = await connectHost(join(directory, "host"))
  return {
    ...client,
    async close() {
      await client.close()
      await server.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
hostConformance("the socket", overSocket, 7)

/** A host that only remembers what reached it. */
async function recorder(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), "fractus-socket-"))
  const synced: (readonly Assignment[])[] = []
  const assigned: Parameters<HostConnection["assign"]>[] = []
  const host: HostConnection = {
    facts: async () => ({ engine: "sim", accelerator: "none", cpus: 1, memoryMiB: 1, publicCidr: "", images: [] }),
    sync: async (assignments) => void synced.push(assignments),
    assign: async (...values) => void assigned.push(values),
    onObserved: () => {},
    consoleOutput: async (name, maxBytes) => Buffer.from(`${name} ${maxBytes}`),
    screenshot: async (name, wake) => Buffer.from(`${name} ${wake}`),
    interrupt: async () => {},
    processes: async () => [],
    close: async () => {},
  }
  const path = join(directory, "host")
  const server = await serveHost(host, { path, log: () => {} })
  t.after(async () => {
    await server.close()
    await rm(directory, { recursive: true, force: true })
  })
  return { path, synced, assigned }
}

/** Send raw bytes; resolves with all that came back when the host closed the connection or has answered `answers` lines. */
function raw(path: string, bytes: string | Buffer, answers = Infinity): Promise<string> {
  return new Promise((resolve, reject) => {
    let got = ""
    const socket = connect(path, () => socket.write(bytes))
    socket.setTimeout(10_000, () => reject(new Error(`no end after ${got.slice(0, 100)}`)))
    socket.on("error", () => {})
    socket.on("data", (chunk) => {
      got += chunk.toString()
      if (got.split("\n").length > answers) socket.destroy()
    })
    socket.on("close", () => resolve(got))
  })
}
const line = (value: unknown) => `${JSON.stringify(value)}\n`

test("the socket is its owner's alone, and nothing else is left beside it", async (t) => {
  const { path } = await recorder(t)
  const { mode } = await stat(path)
  assert.equal(mode & 0o777, 0o600)
})

test("a newer connection replaces the older", async (t) => {
  const { path } = await recorder(t)
  const older = await connectHost(path)
  const gone = new Promise<void>((resolve) => older.onClose(resolve))
  const newer = await connectHost(path)
  assert.equal((await newer.facts()).engine, "sim")
  await gone
  await assert.rejects(older.facts(), /closed/)
  await newer.close()
})

test("a sync larger than a line arrives whole", async (t) => {
  const { path, synced } = await recorder(t)
  const client = await connectHost(path)
  const userData = Buffer.alloc(16_384, 65).toString("base64")
  const many = Array.from({ length: 1_000 }, (_, index) => ({
    resource: `i-${index}`,
    generation: 1,
    spec: { ...guest, metadata: { ...guest.metadata, userData } },
  }))
  await client.sync(many)
  assert.equal(synced.length, 1)
  assert.deepEqual(synced[0]?.at(-1), many.at(-1))
  assert.equal(synced[0]?.length, 1_000)
  await client.close()
})

test("of a sync with a bad part nothing reaches the host", async (t) => {
  const { path, synced } = await recorder(t)
  const [first, second, third] = everything
  const body = [
    { first: true, last: false, assignments: [first] },
    { first: false, last: false, assignments: [{ ...second, resource: "../" }] },
    { first: false, last: true, assignments: [third] },
  ]
  const lines = body.map((each, request) => line({ request, verb: "sync", body: each })).join("")
  assert.match(await raw(path, lines, 3), /"result".*\n.*"error".*\n.*no beginning/)
  assert.deepEqual(synced, [])
})

test("an unknown verb and a field out of range are answered with an error, and reach nothing", async (t) => {
  const { path, assigned } = await recorder(t)
  const bad: readonly [unknown, RegExp][] = [
    [{ request: 1, verb: "shell", body: {} }, /verb is unknown/],
    [{ request: 1, verb: "assign", body: { resource: "../etc", generation: 1 } }, /assign.resource/],
    [{ request: 1, verb: "assign", body: { resource: "vol-2", generation: 1, spec: volume } }, /spec.id/],
    [{ request: 1, verb: "assign", body: { resource: "i-1", generation: -1 } }, /generation/],
    [{ request: 1, verb: "assign", body: { resource: "i-1", generation: 1, path: "/etc/shadow" } }, /known/],
    [{ request: 1, verb: "console", body: { guest: "i-1", maxBytes: 1e9 } }, /maxBytes/],
  ]
  for (const [request, wanted] of bad) assert.match(await raw(path, line(request), 1), wanted)
  assert.deepEqual(assigned, [])
})

test("what is not the protocol ends the connection", async (t) => {
  const { path } = await recorder(t)
  const lines = [
    "hello\n",
    "[]\n",
    `${"[".repeat(100_000)}\n`,
    line({ verb: "facts" }),
    Buffer.alloc((8 << 20) + 2, 97),
  ]
  for (const bytes of lines) assert.equal(await raw(path, bytes), "")
  assert.match(await raw(path, line({ request: 1, verb: "facts" }), 1), /"sim"/)
})

test("5,000 mutated lines never crash the server, and only whole assignments pass", async (t) => {
  const { path, assigned } = await recorder(t)
  const random = generator(7)
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!
  const odd = [
    null,
    -1,
    1e308,
    "",
    "../..",
    "a b",
    "__proto__",
    {},
    [],
    [[]],
    true,
    "x".repeat(70_000),
    "\u0000",
    "1.1.1.1/33",
  ]
  const mutate = (value: unknown): unknown => {
    if (random() < 0.05) return pick<unknown>(odd)
    if (Array.isArray(value)) return value.map(mutate)
    if (typeof value !== "object" || value === null) return value
    const pairs = Object.entries(value).map(([key, each]) => [random() < 0.01 ? "__proto__" : key, mutate(each)])
    return Object.fromEntries(pairs)
  }
  let sent = 0
  let socket = connect(path)
  socket.on("error", () => {}).resume()
  for (; sent < 5_000; sent++) {
    const { resource, generation, spec } = pick(everything)
    let text = line({ request: sent, verb: "assign", body: mutate({ resource, generation, spec }) })
    if (random() < 0.05) text = `${text.slice(0, Math.floor(random() * text.length))}\n`
    if (socket.destroyed || !socket.writable)
      socket = connect(path)
        .on("error", () => {})
        .resume()
    if (!socket.write(text))
      await new Promise<void>((resolve) => socket.once("drain", resolve).once("close", () => resolve()))
  }
  socket.destroy()
  assert.match(await raw(path, line({ request: 1, verb: "facts" }), 1), /"sim"/)
  assert.ok(assigned.length > 100, "some mutations change nothing that matters")
  for (const [resource, generation, spec] of assigned) {
    assert.match(resource, /^[a-z0-9][a-z0-9-]{0,63}$/)
    assert.ok(Number.isSafeInteger(generation) && generation >= 0)
    assert.doesNotMatch(JSON.stringify(spec ?? null), /\.\.|x{9}|1e\+?308|1\.1\.1\.1\/33|__proto__|null[,}\]]/)
  }
})

/** mulberry32: the same numbers on every run. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
