import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import path from "node:path"
import { test } from "node:test"
import { systemClock } from "#lib/clock.ts"
import { until } from "../conformance.ts"
import { attach, type Machine } from "./machine.ts"
import { identify, isAlive, type ProcessIdentity } from "./process.ts"
import { readRecord } from "./record.ts"

interface Stage {
  readonly directory: string
  readonly process: ProcessIdentity
  readonly machine: Machine
  /** How often the listener was told of a change. */
  readonly changes: () => number
  readonly sockets: readonly Socket[]
}

/** Runs `scene` with a machine whose process sleeps and whose QMP says what `greeting` and `answer` give. */
async function play(
  { greeting, answer }: { greeting: () => string; answer: (command: string, id: number) => readonly object[] },
  scene: (stage: Stage) => Promise<void>,
) {
  const directory = mkdtempSync(path.join(tmpdir(), "fr-machine-"))
  mkdirSync(path.join(directory, "sockets"))
  const child = spawn("sleep", ["60"], { stdio: "ignore" })
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on("error", () => {})
    socket.write(greeting())
    socket.on("data", (data) => {
      for (const line of data.toString().split("\n").filter(Boolean)) {
        const { execute, id } = JSON.parse(line)
        for (const message of answer(execute, id)) socket.write(`${JSON.stringify(message)}\n`)
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
    await scene({ directory, process, machine, changes: () => changes, sockets })
    await machine.detach()
  } finally {
    child.kill("SIGKILL")
    for (const socket of sockets) socket.destroy()
    server.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

test("a machine whose QMP turns to garbage is told of, and can still be ended", async () => {
  let sane = true
  const greeting = () => (sane ? '{"QMP": {}}\n' : "\0\0\0\n")
  const answer = (_: string, id: number) => [{ return: { status: "running" }, id }]
  await play({ greeting, answer }, async ({ directory, process, machine, changes, sockets }) => {
    assert.deepEqual(machine.state(), { phase: "running", pid: process.pid, machineVersion: "pc-q35-7.2" })
    sane = false
    sockets[0]?.write("garbage\n")
    await until("the change", () => changes() > 0)
    assert.equal(machine.state().cause, "unknown")
    await assert.rejects(machine.execute("stop"), /i-1: cannot be reached/)
    await machine.finish("killed")
    assert.equal(isAlive(process), false)
    assert.deepEqual(machine.state(), { phase: "exited", machineVersion: "pc-q35-7.2", cause: "killed" })
    assert.equal(readRecord(directory)?.ending, "killed")
  })
})

test("a guest that powers off while a command of ours runs is told of, once", async () => {
  let status = "running"
  const answer = (command: string, id: number) => {
    if (command !== "system_reset") return [{ return: { status }, id }]
    status = "shutdown"
    return [
      { event: "SHUTDOWN", data: {} },
      { return: {}, id },
    ]
  }
  await play({ greeting: () => '{"QMP": {}}\n', answer }, async ({ machine, changes }) => {
    await machine.execute("system_reset")
    await until("the end", () => machine.state().phase === "exited")
    assert.equal(machine.state().cause, "guest-shutdown")
    assert.equal(changes(), 1)
  })
})
