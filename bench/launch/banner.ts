/** When a guest's sshd says hello. */
import { connect, type Socket } from "node:net"

/**
 * A new attempt this often, unless another pause is asked for: a SYN that nobody heard is sent again after a second only. Each is given up
 * soon: what waits in the tap until the guest has a driver comes to it all at once, and sshd, which forks for each, is busy for long if
 * many are still wanted.
 */
export const usualMs = 50
const attempts = 2
const leastMs = 40

/**
 * Resolves with the monotonic time at which the first byte of an SSH banner came from port 22 of `address`. Rejects after
 * `deadlineMs`, or with what `failed` rejects with. The sooner a guest
 * answers once it is reached, the more often it may be tried.
 */
export function banner(
  address: string,
  deadlineMs: number,
  failed: Promise<never>,
  everyMs = usualMs,
): Promise<number> {
  const sockets = new Set<Socket>()
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  /** The one that was accepted; no other is tried beside it. */
  let accepted: Socket | undefined
  const attempt = () => {
    if (accepted !== undefined) return
    const socket = connect({ host: address, port: 22 })
    sockets.add(socket)
    socket.setTimeout(Math.max(leastMs, attempts * everyMs), () => socket.destroy())
    socket.once("connect", () => {
      accepted ??= socket.setTimeout(0)
      for (const other of sockets) if (other !== accepted) other.destroy()
    })
    socket.once("data", (bytes) => {
      if (bytes.toString("latin1").startsWith("SSH-")) resolve(performance.now())
      socket.destroy()
    })
    socket.on("error", () => socket.destroy())
    socket.once("close", () => {
      sockets.delete(socket)
      if (accepted === socket) accepted = undefined
    })
  }
  attempt()
  const timer = setInterval(attempt, everyMs)
  const deadline = setTimeout(() => reject(new Error(`no ssh banner from ${address} in ${deadlineMs} ms`)), deadlineMs)
  failed.catch(reject)
  return promise.finally(() => {
    clearInterval(timer)
    clearTimeout(deadline)
    for (const socket of sockets) socket.destroy()
  })
}
