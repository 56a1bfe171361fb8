/** Who gets to a serial port, and what a slow or a silent one at either end does. */
import assert from "node:assert/strict"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Duplex } from "node:stream"
import { test, type TestContext } from "node:test"
import { serveSerial } from "./server.ts"
import { createSerialSessions } from "./sessions.ts"

const guest = "i-0123456789abcdef0"
const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA"

async function serve(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), "fractus-serial-"))
  let nowMs = 0
  const ports: Duplex[] = []
  const written: string[] = []
  const hypervisor = {
    inspect: async (id: string) => ({ phase: id === guest ? ("running" as const) : ("absent" as const) }),
    async openSerial() {
      const port = new Duplex({
        read() {},
        write(bytes, _, done) {
          written.push(String(bytes))
          done()
        },
      })
      ports.push(port)
      return port
    },
  }
  const sessions = createSerialSessions(hypervisor, { monotonicMs: () => nowMs })
  const path = join(directory, "host.sock")
  const server = await serveSerial(sessions, { path, owner: process.getuid?.() ?? 0, log: () => {} })
  t.after(() => {
    server.close()
    rmSync(directory, { recursive: true, force: true })
  })
  const ask = async (line: string): Promise<{ socket: Socket; answer: string }> => {
    const socket = connect(path)
    t.after(() => socket.destroy())
    socket.write(line)
    const [answer] = (await once(socket, "data")) as [Buffer]
    return { socket, answer: String(answer) }
  }
  const asked = (open: boolean, more: object = {}) => ask(`${JSON.stringify({ guest, key, open, ...more })}\n`)
  return { sessions, ports, written, ask, asked, pass: (ms: number) => void (nowMs += ms) }
}

test("a key opens its guest's port for a minute, once at a time", async (t) => {
  const { sessions, ports, written, asked, pass } = await serve(t)
  assert.match((await asked(true)).answer, /refused.*not begin a session/)
  assert.equal(await sessions.allow(guest, key), "accepted")
  assert.equal(await sessions.allow("i-00000000000000000", key), "unavailable")
  assert.match((await asked(false, { key: `${key}A` })).answer, /refused/)
  assert.match((await asked(false, { guest: "i-0123456789abcdef1" })).answer, /refused/)
  assert.equal((await asked(false)).answer, '{"ok":true}\n')
  pass(59_000)
  const { socket, answer } = await asked(true)
  assert.equal(answer, '{"ok":true}\n')
  assert.equal(await sessions.allow(guest, key), "taken")
  assert.match((await asked(true)).answer, /somebody has a session/)
  socket.write("typed")
  ports[0]?.push("printed")
  const [printed] = (await once(socket, "data")) as [Buffer]
  assert.equal(String(printed), "printed")
  assert.equal(written.join(""), "typed")
  const left = once(ports[0] as Duplex, "close")
  socket.destroy()
  await left
  assert.match((await asked(true)).answer, /ok/)
  pass(1_000)
  assert.equal(sessions.may(guest, key), false)
})

test("the end of the port ends the session; whoever reads nothing holds up nobody", async (t) => {
  const { sessions, ports, asked } = await serve(t)
  await sessions.allow(guest, key)
  const { socket } = await asked(true)
  socket.pause()
  const port = ports[0] ?? assert.fail("no port")
  const chunk = Buffer.alloc(1 << 16)
  // 32 MiB: all is taken from the port, and most of it lost to who does not read.
  for (let count = 0; count < 512; count++) {
    port.push(chunk)
    await new Promise(setImmediate)
  }
  assert.equal(port.readableLength, 0)
  let read = 0
  socket.on("data", (bytes: Buffer) => void (read += bytes.length))
  socket.resume()
  const ended = once(socket, "close")
  port.destroy()
  await ended
  assert.ok(read > 0 && read < 8 << 20, `${read} bytes waited`)
})

test("what is no question is refused", async (t) => {
  const { ask, asked } = await serve(t)
  for (const line of ["{}\n", "nonsense\n", "x".repeat(20_000)]) assert.match((await ask(line)).answer, /refused/)
  assert.match((await asked(true, { guest: "../../etc" })).answer, /refused/)
  assert.match((await asked(true, { key: "ssh-ed25519 AAAA comment" })).answer, /refused/)
})
