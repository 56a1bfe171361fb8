/**
 * The instance metadata service, versions 1 and 2, as one pure function from a request to an answer.
 * Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html and
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
 */
import type { IncomingHttpHeaders } from "node:http"
import type { MetadataDocument } from "#host/protocol/types.ts"
import { longestTtlSeconds, type Tokens } from "./tokens.ts"
import { lookUp } from "./tree.ts"

export interface MetadataRequest {
  readonly method: string
  /** Path and query as they came. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  /** Undefined when nobody lives at the address that asks. */
  readonly document: MetadataDocument | undefined
  /** Wall time. */
  readonly nowMs: number
}

export interface MetadataAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer
  /** Set on a token's answer: it may pass this many hops on its way. */
  readonly hopLimit?: number
}

/** Versions that the service lists; all serve the same tree. */
const dates =
  "2007-01-19 2007-03-01 2007-08-29 2007-10-10 2007-12-15 2008-02-01 2008-09-01 2009-04-04 2011-01-01 2011-05-01 " +
  "2012-01-12 2014-02-25 2014-11-05 2015-10-20 2016-04-19 2016-06-30 2016-09-02 2018-03-28 2018-08-17 2018-09-24 " +
  "2019-10-01 2020-10-27 2021-01-03 2021-03-23 2021-07-15 2022-09-24 2024-04-11"
const versions = ["1.0", ...dates.split(" "), "latest"]
const known = new Set(versions)

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  413: "Payload Too Large",
  503: "Service Unavailable",
}

/** An error with the small page that the service sends. */
export function failure(status: number, headers: Readonly<Record<string, string>> = {}): MetadataAnswer {
  const title = `${status} - ${titles[status] ?? "Error"}`
  const body = `<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head><title>${title}</title></head>
 <body><h1>${title}</h1></body>
</html>
`
  return { status, headers: { "content-type": "text/html", ...headers }, body }
}

const text = (body: string | Buffer, type = "text/plain"): MetadataAnswer => ({
  status: 200,
  headers: { "content-type": type },
  body,
})

const tokenHeader = "x-aws-ec2-metadata-token"
const ttlHeader = "x-aws-ec2-metadata-token-ttl-seconds"

/** A page in a guest's browser must not get here under a name of its own (DNS rebinding). */
function isOurHost(host: string | undefined, domainName: string): boolean {
  const names = ["169.254.169.254", "[fd00:ec2::254]", "instance-data", `instance-data.${domainName}`]
  return host === undefined || host === "" || names.includes(host.toLowerCase().replace(/:80$/, ""))
}

function issueToken(request: MetadataRequest, document: MetadataDocument, tokens: Tokens): MetadataAnswer {
  if (request.method !== "PUT") return failure(405, { allow: "OPTIONS, PUT" })
  // A proxy in front of the guest's own services would hand a token to whoever asks it.
  if (request.headers["x-forwarded-for"] !== undefined) return failure(403)
  const ttl = request.headers[ttlHeader]
  if (typeof ttl !== "string" || !/^[0-9]{1,5}$/.test(ttl)) return failure(400)
  const ttlSeconds = Number(ttl)
  if (ttlSeconds < 1 || ttlSeconds > longestTtlSeconds) return failure(400)
  return {
    status: 200,
    headers: { "content-type": "text/plain", [ttlHeader]: String(ttlSeconds) },
    body: tokens.issue(document.guest, ttlSeconds),
    hopLimit: document.hopLimit,
  }
}

function isAllowed({ headers }: MetadataRequest, document: MetadataDocument, tokens: Tokens): boolean {
  const token = headers[tokenHeader]
  if (token === undefined) return document.tokens === "optional"
  return typeof token === "string" && tokens.valid(document.guest, token)
}

/** The tree as it stands at this moment. */
function treeAt({ tree, temporary = [] }: MetadataDocument, nowMs: number): MetadataDocument["tree"] {
  const now = temporary.filter(({ untilMs }) => nowMs < untilMs)
  if (now.length === 0) return tree
  const texts = new Map(Object.entries(tree))
  for (const { path, text } of now) {
    const before = texts.get(path)
    texts.set(path, before === undefined ? text : `${before}\n${text}`)
  }
  return Object.fromEntries(texts)
}

function find(document: MetadataDocument, path: string, nowMs: number): MetadataAnswer {
  const [version = "", ...rest] = path.slice(1).split("/")
  if (version === "" && rest.length === 0) return text(versions.join("\n"))
  if (!known.has(version)) return failure(404)
  const below = rest.join("/")
  if (below === "user-data") {
    if (document.userData === undefined) return failure(404)
    return text(Buffer.from(document.userData, "base64"), "application/octet-stream")
  }
  const node = lookUp(treeAt(document, nowMs), below)
  if (below === "") {
    const top = node?.text.split("\n").map((name) => name.replace(/\/$/, "")) ?? []
    return text([...top, ...(document.userData === undefined ? [] : ["user-data"])].join("\n"))
  }
  return node === undefined ? failure(404) : text(node.text)
}

/** The path without its query and without doubled slashes, or undefined for one that is none. */
function pathOf(url: string): string | undefined {
  const [raw = ""] = url.split("?", 1)
  if (!raw.startsWith("/") || raw.length > 1024) return undefined
  try {
    return decodeURIComponent(raw).replaceAll(/\/{2,}/g, "/")
  } catch {
    return undefined
  }
}

/** Answer one request. */
export function respond(request: MetadataRequest, tokens: Tokens): MetadataAnswer {
  const { document, method, headers } = request
  if (document === undefined) return failure(404)
  if (!isOurHost(headers.host, document.domainName)) return failure(400)
  if (!document.enabled) return failure(403)
  const path = pathOf(request.url)
  if (path === undefined) return failure(400)
  if (path === "/latest/api/token") return issueToken(request, document, tokens)
  if (method !== "GET" && method !== "HEAD") return failure(405, { allow: "GET, HEAD" })
  if (!isAllowed(request, document, tokens)) return failure(401)
  return find(document, path, request.nowMs)
}
