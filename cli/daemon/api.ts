import { request } from "node:http"
import { Failure, messageOf, program } from "../failure.ts"

/** GET /_fractus/status. */
export type Status = {
  daemon: { pid: number }
  endpoint: string
  engine: string
  accelerator: string | null
  images: { id: string; name: string; state: string }[]
  instances: {
    id: string
    /** the instance's Name tag, when it has one */
    name?: string | null
    state: string
    type: string
    image: string
    publicAddress: string | null
    privateAddress: string | null
    keyName: string | null
    /** of its process on this machine, when it has one; see `memory` */
    memory?: { pssBytes: number; rssBytes: number } | null
  }[]
  processes: { name: string; pid: number }[]
  /** where serial consoles are reached by SSH, from the first key on */
  serialConsole?: { address: string; port: number; fingerprint: string } | null
  /** of all guests; null where they are simulated */
  memory?: {
    guests: number
    pssBytes: number
    rssBytes: number
    templatesBytes: number
    /** clones that wait for a launch; null where none are kept */
    pool?: { wanted: number; waiting: number; pssBytes: number } | null
  } | null
}

export type Account = { account: string; name?: string; accessKeyId?: string; secretAccessKey?: string }

export type Answer = { status: number; body: string }

const answerLimitBytes = 64 * 1024 * 1024

/** One request to the daemon. Throws the socket's error when nobody listens, and when the deadline passes. */
export const call = (
  endpoint: string,
  method: "GET" | "POST",
  path: string,
  { body, token, deadlineMs = 10_000 }: { body?: unknown; token?: string; deadlineMs?: number } = {},
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const payload = body === undefined ? undefined : JSON.stringify(body)
    const headers: Record<string, string> = { connection: "close" }
    if (payload !== undefined) headers["content-type"] = "application/json"
    if (payload !== undefined) headers["content-length"] = String(Buffer.byteLength(payload))
    if (token !== undefined) headers["x-fractus-token"] = token
    const sent = request(new URL(path, endpoint), { method, headers, signal: AbortSignal.timeout(deadlineMs) })
    sent.on("error", reject)
    sent.on("response", (response) => {
      const chunks: Buffer[] = []
      let sizeBytes = 0
      response.on("data", (chunk: Buffer) => {
        sizeBytes += chunk.length
        if (sizeBytes > answerLimitBytes) response.destroy(new Error("the answer is too long"))
        else chunks.push(chunk)
      })
      response.on("error", reject)
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") })
      })
    })
    sent.end(payload)
  })

/** The same, for answers that are JSON; a refusal or an answer that is none is a Failure that says what came. */
export const callJson = async <T>(
  endpoint: string,
  method: "GET" | "POST",
  path: string,
  options: Parameters<typeof call>[3] = {},
): Promise<T> => {
  let answer
  try {
    answer = await call(endpoint, method, path, options)
  } catch (error) {
    throw new Failure(1, `${endpoint} does not answer: ${messageOf(error)}`, `${program} doctor`)
  }
  if (answer.status !== 200) {
    throw new Failure(1, `${path} answered ${answer.status}: ${answer.body.slice(0, 500)}`, `${program} logs`)
  }
  try {
    const value: T = JSON.parse(answer.body)
    return value
  } catch {
    throw new Failure(1, `${path} answered something else than JSON`, `${program} doctor`)
  }
}

export const readStatus = (endpoint: string, deadlineMs?: number): Promise<Status> =>
  callJson<Status>(endpoint, "GET", "/_fractus/status", deadlineMs === undefined ? {} : { deadlineMs })
