/**
 * Whether the agent of a guest's operating system answers: QEMU's own, by the port org.qemu.guest_agent.0. It is asked for a sign of life
 * and nothing else. https://www.qemu.org/docs/master/interop/qemu-ga-ref.html; the other end is the guest, and hostile.
 */
import { randomInt } from "node:crypto"
import { createConnection } from "node:net"
import path from "node:path"
import type { GuestAgent } from "../types.ts"
import type { Machine } from "./machine.ts"
import { isObject } from "./qmp.ts"

/** A busy guest under emulation takes a second. */
const answerMs = 5_000
/** What an agent may say before and beside the two answers: those to earlier questions, perhaps. */
const heardLimitBytes = 8_192
/** Invalid in JSON and UTF-8: what came before it on the line counts no more, in both directions. */
const delimiter = "\u00ff"

/** Of a running machine. QEMU knows whether somebody in the guest holds the port: where nobody does, nobody is waited for. */
export async function askGuestAgent(machine: Pick<Machine, "query">, directory: string): Promise<GuestAgent> {
  const devices = await machine.query("query-chardev")
  const port = Array.isArray(devices) ? devices.find((each) => isObject(each) && each["label"] === "agent") : undefined
  if (!isObject(port) || port["frontend-open"] !== true) return "none"
  return (await answersPing(path.join(directory, "sockets", "agent.sock"), answerMs)) ? "answers" : "silent"
}

/** Whether the agent at this socket answers guest-sync-delimited and then guest-ping within `timeoutMs`. Never rejects. */
export function answersPing(socketPath: string, timeoutMs: number): Promise<boolean> {
  const id = randomInt(1, 2 ** 31)
  const ask = (execute: string, more: object = {}) => `${JSON.stringify({ execute, ...more })}\n`
  const synced = `${delimiter}{"return": ${id}}\n`
  const alive = '{"return": {}}\n'
  return new Promise((resolve) => {
    const socket = createConnection(socketPath)
    const finish = (answers: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answers)
    }
    const timer = setTimeout(() => finish(false), timeoutMs)
    let heard = ""
    let size = 0
    let pinged = false
    socket.on("connect", () => socket.write(delimiter + ask("guest-sync-delimited", { arguments: { id } }), "latin1"))
    socket.on("data", (part: Buffer) => {
      heard += part.toString("latin1")
      if ((size += part.length) > heardLimitBytes) return finish(false)
      if (!pinged) {
        const at = heard.indexOf(synced)
        if (at === -1) return
        heard = heard.slice(at + synced.length)
        pinged = true
        socket.write(ask("guest-ping"))
      }
      // After the delimiter nothing else is due, so anything else is no agent.
      if (heard === alive) finish(true)
      else if (!alive.startsWith(heard)) finish(false)
    })
    socket.on("error", () => finish(false))
    socket.on("close", () => finish(false))
  })
}
