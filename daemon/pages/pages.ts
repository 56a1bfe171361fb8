/** The pages below /_fractus/ that are no part of AWS: status, why, warm, settled, reset, accounts, shutdown. JSON in and out. */
import { timingSafeEqual } from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Cloud } from "#cloud/call.ts"
import type { HostLink } from "#cloud/hosts/link.ts"
import { createAccount, listAccounts } from "#cloud/identity/accounts.ts"
import { Fault } from "#lib/fault.ts"
import type { LocalHandler } from "#wire/http/server.ts"
import type { ControlPlaneOptions } from "../control-plane.ts"
import { readStatus } from "./status.ts"
import { askWarm } from "./warm.ts"
import { readWhy } from "./why.ts"

/** Ends the daemon; with "stop" the guests too. Called after the answer is sent. */
export type Shutdown = (guests: "stop" | "keep") => void

export interface PagesOptions extends ControlPlaneOptions {
  readonly cloud: Cloud
  readonly link: HostLink
  readonly endpoint: () => string
  readonly reset: () => Promise<void>
}

type Page = (request: IncomingMessage, response: ServerResponse) => Promise<void>

const bodyBytes = 64 * 1024
const longestWaitS = 600
const lookEveryMs = 5

export function createPages(options: PagesOptions): (method: string, path: string) => LocalHandler | undefined {
  const { config } = options
  const pages: Record<string, Page> = {
    "GET /_fractus/status": async (_, response) => json(response, 200, await readStatus(options)),
    "GET /_fractus/settled": (request, response) => settled(options, request, response),
    "GET /_fractus/why": withToken(options, async (request, response) => {
      const resource = new URL(request.url ?? "", "http://fractus").searchParams.get("resource") ?? ""
      json(response, 200, await readWhy(options, resource))
    }),
    "POST /_fractus/warm": withToken(options, async (request, response) =>
      json(response, 200, await askWarm(options, await readJson(request))),
    ),
    "GET /_fractus/accounts": withToken(options, async (_, response) =>
      json(response, 200, { accounts: await listAccounts(options.cloud.store) }),
    ),
    "POST /_fractus/accounts": withToken(options, async (request, response) => {
      const { name } = await readJson(request)
      if (typeof name !== "string") throw new Fault("ValidationError", "name is missing")
      json(response, 200, await createAccount(options.cloud, name))
    }),
    "POST /_fractus/shutdown": withToken(options, async (request, response) => {
      const { guests } = await readJson(request)
      if (guests !== "stop" && guests !== "keep") throw new Fault("ValidationError", 'guests is "stop" or "keep"')
      response.once("finish", () => options.shutdown(guests))
      json(response, 200, { stopping: true })
    }),
  }
  const reset: Page = async (_, response) => {
    await options.reset()
    json(response, 200, { reset: true })
  }
  // Emptying a cloud is for tests. One that was opened to everybody needs no token for it.
  if (config.engine === "sim") pages["POST /_fractus/reset"] = config.auth === "off" ? reset : withToken(options, reset)
  return (method, path) => {
    const page = pages[`${method} ${path}`]
    return page === undefined ? notFound : guarded(page)
  }
}

const notFound: LocalHandler = (_, response) => json(response, 404, { error: "there is no such page" })

function guarded(page: Page): LocalHandler {
  return async (request, response) => {
    try {
      await page(request, response)
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      json(response, error.status, { error: error.code, message: error.message })
    }
  }
}

function withToken(options: PagesOptions, page: Page): Page {
  const wanted = Buffer.from(options.credentials.controlToken)
  return async (request, response) => {
    const given = Buffer.from(String(request.headers["x-fractus-token"] ?? ""))
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted))
      throw new Fault("AccessDenied", "x-fractus-token is missing or wrong", 403)
    await page(request, response)
  }
}

/** Answers as soon as nothing is pending, at the latest after `timeout` seconds (30): `{settled, pending}`, 200 or 504. */
async function settled({ link }: PagesOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const given = new URL(request.url ?? "", "http://fractus").searchParams.get("timeout") ?? "30"
  const timeoutS = Number(given)
  if (given === "" || !(timeoutS >= 0 && timeoutS <= longestWaitS))
    throw new Fault("ValidationError", `timeout is 0 to ${longestWaitS} seconds`)
  const end = performance.now() + timeoutS * 1000
  while (link.pending() > 0 && performance.now() < end && !response.destroyed)
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  const pending = link.pending()
  json(response, pending === 0 ? 200 : 504, { settled: pending === 0, pending })
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += (chunk as Buffer).length
    if (size > bodyBytes) throw new Fault("RequestTooLarge", "the body is too large", 413)
    chunks.push(chunk as Buffer)
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"))
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>
  } catch {
    // Falls through to the refusal.
  }
  throw new Fault("ValidationError", "the body is not a JSON object")
}

function json(response: ServerResponse, status: number, value: object): void {
  const body = `${JSON.stringify(value)}\n`
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
  response.end(body)
}
