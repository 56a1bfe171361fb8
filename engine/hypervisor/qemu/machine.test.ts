import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { test } from "node:test"
import { systemClock } from "#lib/clock.ts"
import { until } from "../conformance.ts"
import { attach } from "./machine.ts"
import { identify, isAlive } from "./process.ts"
import { readRecord } from "./record.ts"

test("a machine whose QMP turns to garbage is told of, and can still be ended", async () => {
  const directory = mkdtempSync(path.join(tmpdir(), "fr-machine-"))
  mkdirSync(path.join(directory, "sockets"))
  const child = spawn("sleep", ["60"], { stdio: "ignore" })
  const sockets: Socket[] = []
  let sane = true
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on("error", () => {})
    socket.write(sane ? '{"QMP": {}}\n' : "\0\0\0\n")
    socket.on("data", (data) => {
      for (const line of data.toString().split("\n").filter(Boolean)) {
        socket.write(`{"return": {"status": "running"}, "id": ${JSON.parse(line).id}}\n`)
      }
    })
  })
  try {
    await new Promise<void>((resolve) => server.listen(path.join(directory, "sockets", "qmp.sock"), resolve))
    const process = await until("the process", () => identify(child.pid ?? 0))
    const record = { schema: 1, id: "i-1", nonce: "n", bootId: "b", machineVersion: "pc-q35-7.2", argv: [] } as const
    let changes = 0
    const machine = await attach(
      { directory, record: { ...record, process }, clock: systemClock(), log: () => {}, onChange: () => changes++ },
      2000,
    )
    assert.deepEqual(machine.state(), { phase: "running", pid: process.pid, machineVersion: "pc-q35-7.2" })
    sane = false
    sockets[0]?.write("garbage\n")
    await until("the change", () => changes > 0)
    assert.equal(machine.state().cause, "unknown")
    await assert.rejects(machine.execute("stop"), /i-1: cannot be reached/)
    await machine.finish("killed")
    assert.equal(isAlive(process), false)
    assert.deepEqual(machine.state(), { phase: "exited", machineVersion: "pc-q35-7.2", cause: "killed" })
    assert.equal(readRecord(directory)?.ending, "killed")
    await machine.detach()
  } finally {
    child.kill("SIGKILL")
    for (const socket of sockets) socket.destroy()
    server.close()
    rmSync(directory, { recursive: true, force: true })
  }
})
