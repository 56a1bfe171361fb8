/**
 * Runs in a guest's namespace: `node prober.ts ADDRESS PORT`. A line "open" on stdin begins a connection every millisecond until one
 * is answered and says when that was; "shut" until one is not, and says when that one began. Times are the machine's monotonic
 * milliseconds.
 */
import { connect, type Socket } from "node:net"
import { createInterface } from "node:readline"
import { setTimeout as pause } from "node:timers/promises"

const [address = "", port = ""] = process.argv.slice(2)
const everyMs = 1
/** An answer takes a tenth of a millisecond; what is not answered by now was dropped. */
const unansweredMs = 50
const deadlineMs = 10_000
const nowMs = () => Number(process.hrtime.bigint()) / 1e6

/** All attempts until `enough` says so; undefined at the deadline. */
async function attempts(seen: (startMs: number, answered: boolean) => void, enough: () => boolean): Promise<void> {
  const sockets = new Set<Socket>()
  const endMs = nowMs() + deadlineMs
  while (!enough() && nowMs() < endMs) {
    const startMs = nowMs()
    const socket = connect({ host: address, port: Number(port) })
    sockets.add(socket)
    const over = (answered: boolean) => {
      clearTimeout(timer)
      sockets.delete(socket)
      socket.destroy()
      seen(startMs, answered)
    }
    const timer = setTimeout(over, unansweredMs, false)
    socket.once("connect", () => over(true)).on("error", () => {})
    await pause(everyMs)
  }
  for (const socket of sockets) socket.destroy()
}

const wanted: Readonly<Record<string, () => Promise<number | undefined>>> = {
  async open() {
    let openMs: number | undefined
    await attempts(
      (_, answered) => {
        if (answered) openMs ??= nowMs()
      },
      () => openMs !== undefined,
    )
    return openMs
  },
  async shut() {
    let shutMs: number | undefined
    await attempts(
      (startMs, answered) => {
        if (!answered) shutMs ??= startMs
      },
      () => shutMs !== undefined,
    )
    return shutMs
  },
}

for await (const line of createInterface(process.stdin)) console.log((await wanted[line]?.()) ?? "never")
