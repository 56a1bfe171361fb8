/** Our questions to the host about serial ports: host/serial/server.ts is the other end. */
import { connect, type Socket } from "node:net"

const answerMs = 15_000
const maxLineBytes = 4_096

export interface Wanted {
  readonly guest: string
  /** "type base64" */
  readonly key: string
}

export class Refused extends Error {}

/** Whether who has this key may begin a session now. */
export async function may(path: string, wanted: Wanted): Promise<boolean> {
  try {
    const socket = await ask(path, { ...wanted, open: false })
    socket.destroy()
    return true
  } catch (error) {
    if (error instanceof Refused) return false
    throw error
  }
}

/** The port's bytes, both ways, paused. Throws Refused, with the host's reason. */
export const open = (path: string, wanted: Wanted): Promise<Socket> => ask(path, { ...wanted, open: true })

function ask(path: string, question: object): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const socket = connect(path)
  let line = Buffer.alloc(0)
  const timer = setTimeout(() => reject(new Error(`the host does not answer in ${answerMs} ms`)), answerMs)
  const read = (bytes: Buffer) => {
    line = Buffer.concat([line, bytes])
    const end = line.indexOf(10)
    if (end < 0 && line.length <= maxLineBytes) return
    socket.off("data", read).pause()
    if (end < 0) return reject(new Error("the host's line is too long"))
    const { refused }: { refused?: string } = JSON.parse(line.toString("utf8", 0, end))
    if (refused !== undefined) return reject(new Refused(refused))
    if (end + 1 < line.length) socket.unshift(line.subarray(end + 1))
    resolve(socket)
  }
  socket.on("data", read)
  socket.once("close", () => reject(new Error("the host closed the connection")))
  socket.on("error", reject)
  socket.write(`${JSON.stringify(question)}\n`)
  promise.catch(() => socket.destroy())
  return promise.finally(() => clearTimeout(timer))
}
