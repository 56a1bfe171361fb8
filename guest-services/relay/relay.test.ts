/** The relay over a real socket, with resolvers of its own on loopback; a child where it is killed. */
import assert from "node:assert/strict"
import { type ChildProcess, spawn } from "node:child_process"
import { createSocket, type RemoteInfo } from "node:dgram"
import { once } from "node:events"
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { decode, encode, type Packet, streamEncode } from "dns-packet"
import { systemClock } from "#lib/clock.ts"
import type { Resolver } from "../dns/host-resolvers.ts"
import { framed, unframer } from "../dns/messages.ts"
import { onOnePort } from "../testing/one-port.ts"
import { relayClient } from "./client.ts"
import { relayServer } from "./server.ts"

type Type = "A" | "TXT" | "AXFR"
const question = (name: string, id = 77, type: Type = "A") =>
  encode({ type: "query", id, flags: 0, questions: [{ type, name }] })

function reply(query: Buffer, texts: number): Packet {
  const { id = 0, questions = [] } = decode(query)
  const name = questions[0]?.name ?? ""
  const answers = Array.from({ length: texts }, (_, index) => ({
    type: "TXT" as const,
    name,
    data: `${index}`.padEnd(200),
  }))
  return { type: "response", id, questions, answers }
}

/** A resolver at 127.0.0.1: by UDP at most two texts, and the mark that there are more; by TCP all. */
async function resolver(t: TestContext, texts = 1) {
  const { udp, tcp } = await onOnePort(() => ({ udp: createSocket("udp4"), tcp: createServer() }))
  t.after(() => {
    udp.close()
    tcp.close()
  })
  const seen: Buffer[] = []
  const state = { silent: false }
  udp.on("message", (query, { port }: RemoteInfo) => {
    seen.push(query)
    if (state.silent) return
    const whole = reply(query, texts)
    const short = { ...whole, flags: 0x200, answers: whole.answers?.slice(0, 2) ?? [] }
    udp.send(encode(texts > 2 ? short : whole), port, "127.0.0.1")
  })
  tcp.on("connection", (socket) =>
    socket.on("data", (chunk: Buffer) => socket.write(streamEncode(reply(chunk.subarray(2), texts)))),
  )
  return { address: { address: "127.0.0.1", port: udp.address().port }, seen, state }
}

async function relay(t: TestContext, resolvers: () => readonly Resolver[]) {
  const directory = await mkdtemp(join(tmpdir(), "fractus-relay-"))
  const path = join(directory, "relay.sock")
  const server = relayServer({ clock: systemClock(), resolvers })
  server.listen(path)
  await once(server, "listening")
  const client = relayClient(path)
  t.after(async () => {
    client.close()
    server.close()
    await rm(directory, { recursive: true, force: true })
  })
  const ask = (message: Buffer, deadlineMs = 4_000) => client.ask(message, "udp", AbortSignal.timeout(deadlineMs))
  return { path, ask }
}

test("many questions at a time over one connection, each with its own answer under its own id", async (t) => {
  const upstream = await resolver(t)
  const { ask } = await relay(t, () => [upstream.address])
  // All under the same id, as guests may choose.
  const names = Array.from({ length: 200 }, (_, index) => `n${index}.example`)
  const answers = await Promise.all(names.map(async (name) => decode(await ask(question(name)))))
  assert.deepEqual(
    answers.map(({ questions, id }) => [id, questions?.[0]?.name]),
    names.map((name) => [77, name]),
  )
})

test("what does not fit a packet is fetched by TCP, whole", async (t) => {
  const upstream = await resolver(t, 20)
  const { ask } = await relay(t, () => [upstream.address])
  const answer = await ask(question("large.example", 1, "TXT"))
  assert.ok(answer.length > 4_000)
  assert.equal(decode(answer).answers?.length, 20)
})

test("the other end can ask, and nothing else", async (t) => {
  const upstream = await resolver(t)
  const { ask, path } = await relay(t, () => [upstream.address])
  const rcode = async (message: Buffer) => (await ask(message)).readUInt16BE(2) & 15
  assert.equal(await rcode(question("zone.example", 1, "AXFR")), 5, "no whole zones")
  const update = Buffer.from(question("example.com"))
  update.writeUInt16BE(5 << 11, 2)
  assert.equal(upstream.seen.length, 0, "it went no further")
  await ask(question("example.com"))
  assert.equal((upstream.seen[0]?.[2] ?? 0) & 1, 1, "never a look into a cache alone")

  const answer = Buffer.from(question("example.com"))
  answer.writeUInt16BE(0x8000, 2)
  const header = Buffer.alloc(2)
  header.writeUInt16BE(60_000)
  const asking = connect(path)
  asking.write(framed(update))
  const [refusal] = await once(asking, "data", { signal: AbortSignal.timeout(30_000) })
  assert.equal(refusal.readUInt16BE(4) & 15, 4, "no updates")
  asking.destroy()
  assert.equal(upstream.seen.length, 1)
  for (const nonsense of [framed(answer), framed(Buffer.from("hello")), header, Buffer.alloc(4_000, 0xff)]) {
    const socket = connect(path)
    socket.on("error", () => {})
    socket.write(nonsense)
    await once(socket, "close", { signal: AbortSignal.timeout(30_000) })
  }
  assert.equal(await rcode(question("example.com")), 0, "the relay goes on")
})

test("there is an end to connections and to questions on their way", async (t) => {
  const upstream = await resolver(t)
  upstream.state.silent = true
  const { path } = await relay(t, () => [upstream.address])
  const sockets = Array.from({ length: 12 }, () => connect(path).on("error", () => {}))
  t.after(() => sockets.forEach((socket) => socket.destroy()))
  await Promise.all(sockets.slice(4).map((socket) => once(socket, "close", { signal: AbortSignal.timeout(30_000) })))
  const [socket] = sockets
  assert.ok(socket)
  const messagesIn = unframer(65_535)
  let failures = 0
  const { promise, resolve } = Promise.withResolvers<void>()
  socket.on("data", (chunk: Buffer) => {
    for (const message of messagesIn(chunk)) if ((message.readUInt16BE(2) & 15) === 2) failures++
    if (failures >= 88) resolve()
  })
  for (let id = 0; id < 600; id++) socket.write(framed(question("slow.example", id)))
  await promise
  assert.equal(failures, 88, "512 wait, the others are told so at once")
})

test("resolvers that changed are asked from the next question on", async (t) => {
  const [first, second] = [await resolver(t), await resolver(t)]
  let now = first.address
  const { ask } = await relay(t, () => [now])
  await ask(question("one.example"))
  now = second.address
  await ask(question("two.example"))
  assert.deepEqual([first.seen.length, second.seen.length], [1, 1])
})

test("where there is no relay, that is known at once", async () => {
  const client = relayClient(join(tmpdir(), "fractus-no-such-relay.sock"))
  await assert.rejects(client.ask(question("a.example"), "udp", AbortSignal.timeout(10_000)), { code: "ENOENT" })
})

test("a relay that is killed and started again is found again, also by the question on its way", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "fractus-relay-"))
  const [path, resolvConf] = [join(directory, "relay.sock"), join(directory, "resolv.conf")]
  await chmod(directory, 0o700)
  // Nobody listens at port 53 of this address: the question is refused at once, and the relay says so.
  await writeFile(resolvConf, "nameserver 127.83.0.1\n")
  const children: ChildProcess[] = []
  const client = relayClient(path)
  t.after(async () => {
    client.close()
    for (const child of children) child.kill("SIGKILL")
    await rm(directory, { recursive: true, force: true })
  })
  const start = async () => {
    const words = [join(import.meta.dirname, "main.ts"), "--socket", path, "--resolv-conf", resolvConf]
    const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] })
    children.push(child)
    await once(child.stdout, "data", { signal: AbortSignal.timeout(15_000) })
    return child
  }
  const ask = () => client.ask(question("a.example"), "udp", AbortSignal.timeout(20_000))
  const failure = async (asked: Promise<Buffer>) => (await asked).readUInt16BE(2) & 15
  const first = await start()
  assert.equal((await stat(path)).mode & 0o777, 0o660)
  assert.equal(await failure(ask()), 2)
  first.kill("SIGKILL")
  await once(first, "exit")
  const waiting = ask()
  const second = await start()
  assert.equal(await failure(waiting), 2)
  const ended = once(second, "exit")
  second.kill("SIGTERM")
  assert.deepEqual(await ended, [0, null])
  await assert.rejects(readFile(path), { code: "ENOENT" })
})
