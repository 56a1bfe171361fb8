/** A load generator that costs little: kept connections, requests as ready bytes, answers counted and thrown away. */
import { connect, type Socket } from "node:net"

export interface Answer {
  readonly head: string
  readonly body: Buffer
}

const deadlineMs = 120_000

interface Connection {
  /** Sends a request; gives the answer's bytes when it is whole. Throws for anything but 200. */
  ask(request: Buffer): Promise<readonly Buffer[]>
  close(): void
}

/** Sends one request and gives its answer. Throws for anything but 200, and after two minutes. */
export async function ask(port: number, request: Buffer): Promise<Answer> {
  const connection = await open(port)
  try {
    const bytes = Buffer.concat(await connection.ask(request))
    const end = bytes.indexOf("\r\n\r\n")
    return { head: bytes.toString("latin1", 0, end), body: bytes.subarray(end + 4) }
  } finally {
    connection.close()
  }
}

/** Sends `count` requests, taken in turn from the given ones, over kept connections. Gives each one's time in milliseconds. */
export async function load(
  port: number,
  requests: readonly Buffer[],
  count: number,
  connections = 4,
): Promise<readonly number[]> {
  const timesMs: number[] = []
  let next = 0
  const work = async (): Promise<void> => {
    const connection = await open(port)
    try {
      while (next < count) {
        const request = requests[next++ % requests.length]
        if (!request) throw new RangeError("no requests to send")
        const startMs = performance.now()
        await connection.ask(request)
        timesMs.push(performance.now() - startMs)
      }
    } finally {
      connection.close()
    }
  }
  await Promise.all(Array.from({ length: Math.min(connections, count) }, work))
  return timesMs
}

function open(port: number): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true })
    socket.setTimeout(deadlineMs, () => socket.destroy(new Error("no answer came in time")))
    socket.once("error", reject)
    socket.once("connect", () => {
      socket.off("error", reject)
      resolve(talk(socket))
    })
  })
}

function talk(socket: Socket): Connection {
  let chunks: Buffer[] = []
  let missing = 0
  let settle: ((answer: readonly Buffer[]) => void) | undefined
  let fail: ((error: Error) => void) | undefined
  const end = (error: Error): void => fail?.(error)
  socket.on("error", end)
  socket.on("close", () => end(new Error("the connection was closed")))
  socket.on("data", (chunk: Buffer) => {
    // Heads here are short and come whole with the first bytes.
    if (chunks.length === 0) missing = answerBytes(chunk)
    chunks.push(chunk)
    missing -= chunk.length
    if (missing === 0) settle?.(chunks)
    else if (missing < 0) socket.destroy(new Error("more came than was asked for"))
  })
  return {
    ask: (request) =>
      new Promise((resolve, reject) => {
        chunks = []
        settle = resolve
        fail = reject
        socket.write(request)
      }),
    close: () => socket.destroy(),
  }
}

/** Size of a whole answer, from its head. */
function answerBytes(chunk: Buffer): number {
  const end = chunk.indexOf("\r\n\r\n")
  const head = chunk.toString("latin1", 0, end)
  const length = /^content-length: (\d+)/im.exec(head)?.[1]
  if (end < 0 || length === undefined || !head.startsWith("HTTP/1.1 200 ")) {
    throw new Error(`not the answer that was asked for: ${chunk.toString("latin1", 0, 2000)}`)
  }
  return end + 4 + Number(length)
}
