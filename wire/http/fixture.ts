/** For tests: a listener with a small EC2 and STS behind it, and ways to send it anything. */
import { connect, type Socket } from "node:net"
import { systemClock } from "#lib/clock.ts"
import { Fault } from "#lib/fault.ts"
import { loadSchemas } from "../schema/load.ts"
import type { Caller, Protocol, RequestInfo, ServiceBinding } from "../types.ts"
import type { CallRecord } from "./call.ts"
import { createWireServer, type WireServer, type WireServerOptions } from "./server.ts"

export type Handlers = Record<string, (input: object, info: RequestInfo) => unknown>

export const caller: Caller = {
  accessKeyId: "AKIDEXAMPLE",
  account: "123456789012",
  arn: "arn:aws:iam::123456789012:root",
  userId: "123456789012",
}
export const secretAccessKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

export function binding(name: "ec2" | "sts", handlers: Handlers): ServiceBinding {
  const facts: Record<"ec2" | "sts", { protocol: Protocol; version: string; xmlNamespace: string }> = {
    ec2: { protocol: "ec2Query", version: "2016-11-15", xmlNamespace: "http://ec2.amazonaws.com/doc/2016-11-15/" },
    sts: { protocol: "awsQuery", version: "2011-06-15", xmlNamespace: "https://sts.amazonaws.com/doc/2011-06-15/" },
  }
  const dispatch = async (operation: string, input: object, info: RequestInfo): Promise<object> => {
    const handler = Object.hasOwn(handlers, operation) ? handlers[operation] : undefined
    if (!handler) throw new Fault("UnsupportedOperation", `The operation ${operation} is not supported`)
    const output = await handler(input, info)
    return typeof output === "object" && output !== null ? output : {}
  }
  return { name, ...facts[name], load: async () => ({ schemas: await loadSchemas(name), dispatch }) }
}

export interface Started extends WireServer {
  readonly port: number
  readonly records: CallRecord[]
  readonly logged: unknown[]
  /** Ends the server at once, whatever is going on. */
  [Symbol.asyncDispose](): Promise<void>
}

/** With auth off unless told; handlers of EC2 and STS by operation. */
export async function startServer(
  ec2: Handlers,
  options: Partial<WireServerOptions> = {},
  sts: Handlers = {},
): Promise<Started> {
  const records: CallRecord[] = []
  const logged: unknown[] = []
  const server = createWireServer({
    services: [binding("ec2", ec2), binding("sts", sts)],
    secrets: (id) => Promise.resolve(id === caller.accessKeyId ? { secretAccessKey, caller, active: true } : undefined),
    auth: "off",
    defaultCaller: caller,
    defaultRegion: "us-east-1",
    clock: systemClock(),
    onCall: (record) => records.push(record),
    log: (_, error) => logged.push(error),
    ...options,
  })
  const { port } = await server.listen(0, "127.0.0.1")
  return { ...server, port, records, logged, [Symbol.asyncDispose]: () => server.drain(0) }
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The error's code, empty for none. */
  readonly code: string
}

/** Sends a form. */
export async function post(port: number, form: string, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}/`, {
    method: "POST",
    body: form,
    headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, code: /<Code>(.*?)<\/Code>/.exec(text)?.[1] ?? "" }
}

/** Everything that comes back for some bytes until the server closes or `until` matches. Rejects after five seconds. */
export function raw(
  port: number,
  bytes: string | Buffer,
  until?: RegExp,
  keep?: (socket: Socket) => void,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes))
    let text = ""
    const deadline = setTimeout(() => socket.destroy(new Error(`nothing more came after: ${text}`)), 5000)
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1")
      if (until?.test(text)) socket.destroy()
    })
    let failure: NodeJS.ErrnoException | undefined
    socket.on("error", (error) => (failure = error))
    socket.on("close", () => {
      clearTimeout(deadline)
      if (failure && failure.code !== "ECONNRESET" && failure.code !== "EPIPE") reject(failure)
      else resolve(text)
    })
    keep?.(socket)
  })
}

/** A request's head and body as bytes, with a good Host unless one is given. */
export function rawPost(form: string, headers: readonly string[] = [], host = "Host: 127.0.0.1"): string {
  const lines = [
    "POST / HTTP/1.1",
    ...(host === "" ? [] : [host]),
    "Content-Type: application/x-www-form-urlencoded",
    `Content-Length: ${Buffer.byteLength(form)}`,
    ...headers,
  ]
  return `${lines.join("\r\n")}\r\n\r\n${form}`
}

/** Waits until something holds, at most five seconds. */
export async function eventually(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`never came true: ${holds.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
