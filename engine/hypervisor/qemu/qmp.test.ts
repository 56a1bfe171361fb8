import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { test } from "node:test"
import { connectQmp, type Qmp, type QmpEvent, QmpViolation } from "./qmp.ts"

const greeting = '{"QMP": {"version": {}, "capabilities": []}}\r\n'

/** A server that greets, agrees to capabilities, and answers each further command with what `answer` writes. */
async function withServer(
  answer: (socket: Socket, id: number, command: string) => void,
  work: (qmp: Qmp, events: QmpEvent[]) => Promise<void>,
  first = greeting,
) {
  const directory = mkdtempSync(path.join(tmpdir(), "fr-qmp-"))
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on("error", () => {})
    socket.write(first)
    socket.on("data", (data) => {
      for (const line of data.toString().split("\n").filter(Boolean)) {
        const { id, execute } = JSON.parse(line)
        if (execute === "qmp_capabilities") socket.write(`{"return": {}, "id": ${id}}\n`)
        else answer(socket, id, execute)
      }
    })
  })
  const file = path.join(directory, "qmp.sock")
  await new Promise<void>((resolve) => server.listen(file, resolve))
  const events: QmpEvent[] = []
  try {
    const qmp = await connectQmp(file, (event) => events.push(event), 500)
    await work(qmp, events).finally(() => qmp.close())
  } finally {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
    rmSync(directory, { recursive: true, force: true })
  }
}

test("answers find their questions, in any order and in any pieces, between events", () =>
  withServer(
    (socket, id) => {
      if (id % 2 === 0) return
      const event = '{"event": "STOP", "data": {"a": 1}, "timestamp": {}}\n'
      const text = `${event}{"return": "one more", "id": ${id}}\r\n{"return": "one", "id": ${id - 1}}\n`
      for (const piece of text.match(/.{1,7}/gs) ?? []) socket.write(piece)
    },
    async (qmp, events) => {
      // The first id, 1, went to the capabilities.
      assert.deepEqual(await Promise.all([qmp.execute("a"), qmp.execute("b")]), ["one", "one more"])
      assert.deepEqual(events, [{ name: "STOP", data: { a: 1 } }])
    },
  ))

test("an error is the command's own, in one printable line", () =>
  withServer(
    (socket, id) => socket.write(`{"error": {"class": "GenericError", "desc": "no\\u001b[2J\\n such"}, "id": ${id}}\n`),
    async (qmp) => {
      await assert.rejects(qmp.execute("a"), { message: "QMP: no [2J  such" })
      await assert.rejects(qmp.execute("b"), /no/)
    },
  ))

test("a command has a deadline, and the connection goes on after it", () =>
  withServer(
    (socket, id, command) => command === "b" && socket.write(`{"return": 2, "id": ${id}}\n`),
    async (qmp) => {
      await assert.rejects(qmp.execute("a", {}, 20), /no answer to a in 20 ms/)
      assert.equal(await qmp.execute("b"), 2)
    },
  ))

const attacks: { readonly [name: string]: string } = {
  "not JSON": "]]]\n",
  "no object": "[1]\n",
  "nested too deep": `{"event": ${"[".repeat(100)}${"]".repeat(100)}}\n`,
  "a line without end": "x".repeat((1 << 20) + 1),
  "a flood of events": '{"event": "STOP"}\n'.repeat(20_000),
  "an answer to nothing asked": '{"return": {}, "id": 99}\n',
  "neither event nor answer": '{"id": 2}\n',
}
for (const [name, bytes] of Object.entries(attacks)) {
  test(`is cut off, and the command that waits is told: ${name}`, () =>
    withServer(
      (socket) => socket.write(bytes),
      async (qmp) => {
        await assert.rejects(qmp.execute("a"), QmpViolation)
        assert.ok((await qmp.closed) instanceof QmpViolation)
        await assert.rejects(qmp.execute("b"), QmpViolation)
      },
    ))
}

test("who does not greet is given up", () =>
  assert.rejects(
    withServer(
      () => {},
      async () => {},
      "",
    ),
    /no greeting in 500 ms/,
  ))
