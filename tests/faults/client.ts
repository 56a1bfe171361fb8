/** A plain client of the daemon over kept connections: forms out, checked XML in. It knows no shape, so it can send wrong ones. */
import { Agent, request } from "node:http"
import { type Element, findAll, parseXml, textAt } from "./xml.ts"

/** Parameters in the order they are sent; a name may come twice. */
export type Parameters = Readonly<Record<string, string | number | boolean>> | readonly (readonly [string, string])[]

export interface Answer {
  readonly status: number
  /** The error's code, "" when it went well. */
  readonly code: string
  readonly message: string
  readonly requestId: string
  readonly xml: Element
}

export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: string
  readonly bytes: Buffer
}

export interface RawRequest {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

export interface Client {
  readonly endpoint: string
  /** One call. Throws if the connection breaks, no answer comes in time, or the answer is not what every answer has to be. */
  call(action: string, parameters?: Parameters): Promise<Answer>
  /** The same, throwing for an error, with its code. */
  ok(action: string, parameters?: Parameters): Promise<Element>
  send(request: RawRequest): Promise<RawAnswer>
  close(): void
}

export interface ClientOptions {
  readonly region?: string
  /** Headers for a body, as a signer makes them. Without one, only the region is claimed. */
  readonly sign?: (body: string) => Promise<Readonly<Record<string, string>>>
  readonly connections?: number
  readonly timeoutMs?: number
}

const form = "application/x-www-form-urlencoded"

export function createClient(endpoint: string, options: ClientOptions = {}): Client {
  const { region = "us-east-1", connections = 16, timeoutMs = 30_000 } = options
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const claimed = `AWS4-HMAC-SHA256 Credential=AKIAFAULTS/20260101/${region}/ec2/aws4_request, SignedHeaders=host, Signature=${"0".repeat(64)}`
  const send: Client["send"] = (what) => exchange(endpoint, agent, timeoutMs, what)
  const call: Client["call"] = async (action, parameters = {}) => {
    const body = encode([["Action", action], ["Version", "2016-11-15"], ...pairsOf(parameters)])
    const signed = (await options.sign?.(body)) ?? {
      authorization: claimed,
      "x-amz-date": "20260101T000000Z",
    }
    return readAnswer(await send({ headers: { "content-type": form, ...signed }, body }))
  }
  return {
    endpoint,
    call,
    send,
    async ok(action, parameters) {
      const answer = await call(action, parameters)
      if (answer.code !== "") throw new Error(`${action}: ${answer.code}: ${answer.message}`)
      return answer.xml
    },
    close: () => agent.destroy(),
  }
}

/** A form as browsers and SDKs write it. Lone surrogates become U+FFFD, as they have no UTF-8. */
export function encode(pairs: readonly (readonly [string, string])[]): string {
  return pairs.map((pair) => pair.map((text) => encodeURIComponent(text.toWellFormed())).join("=")).join("&")
}

/** Checks what holds for every answer to a call: XML, well-formed, the same request id in head and body. */
export function readAnswer({ status, headers, body }: RawAnswer): Answer {
  const xml = parseXml(body)
  const inside = textAt(xml, "requestId") ?? textAt(xml, "RequestID") ?? findAll(xml, "RequestId")[0]?.text
  const requestId = String(headers["x-amzn-requestid"])
  if (inside !== requestId) throw new Error(`request id ${requestId} in the head, ${inside} in: ${body}`)
  const [error] = findAll(xml, "Error")
  const code = error === undefined ? "" : (textAt(error, "Code") ?? "")
  if ((status === 200) !== (code === "")) throw new Error(`status ${status} with code "${code}": ${body}`)
  return { status, code, message: error === undefined ? "" : (textAt(error, "Message") ?? ""), requestId, xml }
}

function pairsOf(parameters: Parameters): readonly (readonly [string, string])[] {
  return Array.isArray(parameters)
    ? (parameters as readonly (readonly [string, string])[])
    : Object.entries(parameters).map(([name, value]) => [name, String(value)] as const)
}

function exchange(endpoint: string, agent: Agent, timeoutMs: number, what: RawRequest): Promise<RawAnswer> {
  const { method = "POST", path = "/", headers = {}, body = "" } = what
  return new Promise((resolve, reject) => {
    const sent = request(
      endpoint,
      // As it is: a URL would tidy it.
      { path, method, agent, headers: { "content-length": String(Buffer.byteLength(body)), ...headers } },
      (response) => {
        const chunks: Buffer[] = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("error", reject)
        response.on("end", () => {
          if (!response.complete)
            return reject(Object.assign(new Error("the answer broke off"), { code: "ECONNRESET" }))
          const bytes = Buffer.concat(chunks)
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            bytes,
            body: bytes.toString("utf8"),
          })
        })
      },
    )
    sent.setTimeout(timeoutMs, () => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)))
    sent.on("error", reject)
    sent.end(body)
  })
}
