/** Agents of guests, kind and hostile, at a socket of the test's own. */
import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { test } from "node:test"
import { answersPing, askGuestAgent, tellTime } from "./guest-agent.ts"

/** Runs `work` with an agent that does `behave` with each line it is told. */
async function withAgent<T>(
  behave: (line: string, socket: Socket) => void,
  work: (socketPath: string, folder: string) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(path.join(tmpdir(), "fr-agent-"))
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    let heard = ""
    socket.on("error", () => {})
    socket.on("data", (part: Buffer) => {
      const lines = (heard += part.toString("latin1")).split("\n")
      heard = lines.pop() ?? ""
      for (const line of lines) behave(line, socket)
    })
  })
  const file = path.join(folder, "agent.sock")
  await new Promise<void>((resolve) => server.listen(file, resolve))
  try {
    return await work(file, folder)
  } finally {
    for (const socket of sockets) socket.destroy()
    server.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** One of whose guest somebody holds the port, or nobody. */
const machine = (open: boolean, asked: string[] = []) => ({
  query: async (command: string) => {
    asked.push(command)
    return [
      { label: "serial0", "frontend-open": true },
      { label: "agent", "frontend-open": open },
    ]
  },
})

/** As qemu-ga 7.2 writes them. */
const syncAnswer = (line: string) => Buffer.from(`\u00ff{"return": ${/"id":(\d+)/.exec(line)?.[1]}}\n`, "latin1")
const kind = (line: string, socket: Socket) =>
  void socket.write(line.includes("guest-ping") ? '{"return": {}}\n' : syncAnswer(line))

test("an agent that answers is told from one that says something else, too much, or nothing", async () => {
  assert.equal(await withAgent(kind, (at) => answersPing(at, 20_000)), true)
  const others: Readonly<Record<string, (line: string, socket: Socket) => void>> = {
    "the answer to another question": (_, socket) =>
      void socket.write('\u00ff{"return": 1}\n{"return": {}}\n', "latin1"),
    "an answer without a delimiter": (line, socket) => void socket.write(syncAnswer(line).subarray(1)),
    nothing: () => {},
    "no answer to the ping": (line, socket) => void (line.includes("ping") || socket.write(syncAnswer(line))),
  }
  for (const [what, behave] of Object.entries(others))
    assert.equal(await withAgent(behave, (at) => answersPing(at, 300)), false, what)
  // These are known before the time is up.
  const hostile: typeof others = {
    "an error": (line, socket) =>
      void socket.write(
        line.includes("ping") ? '{"error": {"class": "GenericError", "desc": ""}}\n' : syncAnswer(line),
      ),
    "no end of bytes": (_, socket) => void socket.write("x".repeat(100_000)),
    "the end": (_, socket) => socket.destroy(),
  }
  for (const [what, behave] of Object.entries(hostile))
    assert.equal(await withAgent(behave, (at) => answersPing(at, 600_000)), false, what)
  assert.equal(await answersPing("/nonexistent/agent.sock", 600_000), false)
})

test("what an agent says of earlier questions does not count, in whatever pieces its answer comes", async () => {
  const late = (line: string, socket: Socket) => {
    if (line.includes("ping")) {
      socket.write('{"return": {}}\n')
      return
    }
    const stale = Buffer.from('{"return": {}}\n{"return": {}}\n\u00ff{"return": 7}\n{"ret', "latin1")
    for (const byte of Buffer.concat([stale, syncAnswer(line)])) socket.write(Buffer.from([byte]))
  }
  assert.equal(await withAgent(late, (at) => answersPing(at, 20_000)), true)
})

test("a guest is told the time, to the nanosecond, where its agent listens", async () => {
  const heard: string[] = []
  const clock = (line: string, socket: Socket) => {
    heard.push(line)
    socket.write(line.includes("guest-set-time") ? '{"return": {}}\n' : syncAnswer(line))
  }
  const wallMs = () => 1_795_291_302_123
  const done = await withAgent(clock, (file, folder) => {
    mkdirSync(path.join(folder, "sockets"))
    symlinkSync(file, path.join(folder, "sockets", "agent.sock"))
    return tellTime(machine(true), folder, wallMs, 20_000)
  })
  assert.equal(done, true)
  assert.match(heard.at(-1) ?? "", /"guest-set-time", "arguments": \{"time": 1795291302123000000\}/)
  assert.equal(await tellTime(machine(false), "/nonexistent", wallMs), false)
})

test("where nobody in the guest holds the port, nobody is asked", async () => {
  const asked: string[] = []
  assert.equal(await askGuestAgent(machine(false, asked), "/nonexistent"), "none")
  assert.equal(await askGuestAgent(machine(true, asked), "/nonexistent"), "silent")
  assert.deepEqual(asked, ["query-chardev", "query-chardev"])
})
