/**
 * The agent of a guest's operating system: QEMU's own, by the port org.qemu.guest_agent.0. It is asked for a sign of life, and told what
 * time it is when its guest was hibernated, and nothing else. https://www.qemu.org/docs/master/interop/qemu-ga-ref.html; the other end is the guest, and hostile.
 */
import { randomInt } from "node:crypto"
import { createConnection } from "node:net"
import path from "node:path"
import type { GuestAgent } from "../types.ts"
import type { Machine } from "./machine.ts"
import { isObject } from "./qmp.ts"

/** A busy guest under emulation takes a second. */
const answerMs = 5_000
/** It runs a program for the hardware's clock, too. */
const setTimeMs = 20_000
/** What an agent may say before and beside the two answers: those to earlier questions, perhaps. */
const heardLimitBytes = 8_192
/** Invalid in JSON and UTF-8: what came before it on the line counts no more, in both directions. */
const delimiter = "\u00ff"

/** The time that a guest missed. True when its agent has set its clock; never rejects for what the agent does. */
export async function tellTime(
  machine: Pick<Machine, "query">,
  directory: string,
  wallMs: () => number,
  timeoutMs: number = setTimeMs,
): Promise<boolean> {
  if (!(await isHeld(machine))) return false
  // In nanoseconds: more than a number of JavaScript holds.
  const command = () =>
    `{"execute": "guest-set-time", "arguments": {"time": ${BigInt(Math.round(wallMs())) * 1_000_000n}}}`
  return obeys(path.join(directory, "sockets", "agent.sock"), command, timeoutMs)
}

/** Of a running machine. QEMU knows whether somebody in the guest holds the port: where nobody does, nobody is waited for. */
export async function askGuestAgent(machine: Pick<Machine, "query">, directory: string): Promise<GuestAgent> {
  if (!(await isHeld(machine))) return "none"
  return (await answersPing(path.join(directory, "sockets", "agent.sock"), answerMs)) ? "answers" : "silent"
}

async function isHeld(machine: Pick<Machine, "query">): Promise<boolean> {
  const devices = await machine.query("query-chardev")
  const port = Array.isArray(devices) ? devices.find((each) => isObject(each) && each["label"] === "agent") : undefined
  return isObject(port) && port["frontend-open"] === true
}

/** Whether the agent at this socket answers guest-sync-delimited and then guest-ping within `timeoutMs`. Never rejects. */
export const answersPing = (socketPath: string, timeoutMs: number): Promise<boolean> =>
  obeys(socketPath, () => '{"execute":"guest-ping"}', timeoutMs)

/** Whether it answers that it has done the command, which gives nothing else. */
function obeys(socketPath: string, command: () => string, timeoutMs: number): Promise<boolean> {
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
    let told = false
    socket.on("connect", () => socket.write(delimiter + ask("guest-sync-delimited", { arguments: { id } }), "latin1"))
    socket.on("data", (part: Buffer) => {
      heard += part.toString("latin1")
      if ((size += part.length) > heardLimitBytes) return finish(false)
      if (!told) {
        const at = heard.indexOf(synced)
        if (at === -1) return
        heard = heard.slice(at + synced.length)
        told = true
        socket.write(`${command()}\n`)
      }
      // After the delimiter nothing else is due, so anything else is no agent.
      if (heard === alive) finish(true)
      else if (!alive.startsWith(heard)) finish(false)
    })
    socket.on("error", () => finish(false))
    socket.on("close", () => finish(false))
  })
}
