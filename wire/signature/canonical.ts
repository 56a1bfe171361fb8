/** The canonical request of Signature Version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html */
import type { Claim, Headers, SignedRequest } from "./claim.ts"

/**
 * The text whose hash is signed; undefined when the request cannot have been signed like this (a signed header that is
 * not there, bad percent-encoding). `bodyHash` is ours, in hex, never the client's word.
 */
export function canonicalRequest(
  request: SignedRequest,
  claim: Claim,
  bodyHash: string,
  asItIs = false,
): string | undefined {
  const headers = canonicalHeaders(request.headers, claim.signedHeaders)
  const query = canonicalQuery(request.query)
  if (headers === undefined || query === undefined) return undefined
  const path = asItIs ? encodedOnce(request.path) : canonicalPath(request.path)
  if (path === undefined) return undefined
  return `${request.method}\n${path}\n${query}\n${headers}\n${claim.signedHeaders.join(";")}\n${bodyHash}`
}

/** Path of every service save S3: dot segments and doubled slashes gone, then encoded once more. */
export function canonicalPath(path: string): string {
  if (path === "/" || path === "") return "/"
  const segments: string[] = []
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue
    if (segment === "..") segments.pop()
    else segments.push(encode(segment))
  }
  if (segments.length === 0) return "/"
  return `/${segments.join("/")}${path.endsWith("/") ? "/" : ""}`
}

function encodedOnce(path: string): string | undefined {
  try {
    return path
      .split("/")
      .map((segment) => encode(decodeURIComponent(segment)))
      .join("/")
  } catch {
    return undefined
  }
}

/** A plus is a space, here as in our form reader, so that what is signed is what is read. */
function canonicalQuery(query: string): string | undefined {
  if (query === "") return ""
  try {
    return query
      .split("&")
      .filter((pair) => pair !== "" && !/^X-Amz-Signature(=|$)/.test(pair))
      .map((pair) => {
        const equals = pair.indexOf("=")
        const name = equals < 0 ? pair : pair.slice(0, equals)
        return [recode(name), equals < 0 ? "" : recode(pair.slice(equals + 1))] as const
      })
      .toSorted(([a, x], [b, y]) => compare(a, b) || compare(x, y))
      .map(([name, value]) => `${name}=${value}`)
      .join("&")
  } catch {
    return undefined
  }
}

function canonicalHeaders(headers: Headers, names: readonly string[]): string | undefined {
  let text = ""
  for (const name of names) {
    const value = headers[name]
    if (value === undefined) return undefined
    text += `${name}:${typeof value === "string" ? oneSpaced(value) : value.map(oneSpaced).join(",")}\n`
  }
  return text
}

function oneSpaced(value: string): string {
  return isPlain(value) ? value : value.trim().replaceAll(/\s+/g, " ")
}

/** Whether it is printable ASCII whose spaces stand singly and inside. A loop: each request asks, and a regular expression takes longer. */
function isPlain(value: string): boolean {
  let before = space
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if (code < space || code > tilde || (code === space && before === space)) return false
    before = code
  }
  return before !== space || value === ""
}

const space = 0x20
const tilde = 0x7e

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function recode(text: string): string {
  return encode(decodeURIComponent(text.replaceAll("+", " ")))
}

/** Everything save the unreserved characters of RFC 3986. Throws URIError for lone surrogates. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
