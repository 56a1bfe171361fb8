/**
 * Who may talk to the listener at all. An ec2Query POST is a form that any web page can send, and a name that resolves to
 * loopback makes any page "same origin": so only names that are ours, and no requests from other pages.
 */
import { isIPv4, type Socket } from "node:net"
import type { Headers } from "../signature/claim.ts"

/** Why a request must not be served, or undefined. */
export type Guard = (headers: Headers, socket: Pick<Socket, "localAddress">) => string | undefined

/** `names` are further host names, exact ("cloud.lan") or with everything below ("*.cloud.lan"). Ports do not matter. */
export function createGuard(names: readonly string[]): Guard {
  const exact = new Set(names.filter((name) => !name.startsWith("*.")).map((name) => bare(name.toLowerCase())))
  const suffixes = names.filter((name) => name.startsWith("*.")).map((name) => name.slice(1).toLowerCase())
  const ours = (host: string): boolean =>
    isLoopback(host) || exact.has(host) || suffixes.some((suffix) => host.endsWith(suffix))
  // Clients say the same name all day.
  let lastGood: string | undefined
  const isNamedOurs = (header: string): boolean => {
    if (header === lastGood) return true
    const host = hostName(header)
    if (host === undefined || !ours(host)) return false
    lastGood = header
    return true
  }
  return (headers, socket) => {
    const header = headers["host"]
    const name = typeof header === "string" ? header : ""
    if (isNamedOurs(name)) return originRefusal(headers, name)
    const host = hostName(name)
    if (host === undefined) return "The Host header is missing or malformed"
    // The address that the client connected to is a name that no other page's owner can point here.
    if (host !== localAddress(socket)) return "This endpoint does not answer to that Host"
    return originRefusal(headers, name)
  }
}

function originRefusal({ origin, "sec-fetch-site": site }: Headers, host: string): string | undefined {
  if (site !== undefined && site !== "same-origin" && site !== "none") return "Requests from other sites are refused"
  if (origin === undefined) return undefined
  return origin === `http://${host}` || origin === `https://${host}`
    ? undefined
    : "Requests from other origins are refused"
}

/** "Name:port" or "[address]:port" as a lower-case name, undefined when it is neither. */
function hostName(header: string): string | undefined {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$/.exec(header)
  return match?.[1] === undefined ? undefined : bare(match[1].toLowerCase())
}

function bare(name: string): string {
  return name.startsWith("[") ? name.slice(1, -1) : name.replace(/\.$/, "")
}

function isLoopback(host: string): boolean {
  if (host === "localhost" || host.endsWith(".localhost") || host === "::1") return true
  return host.startsWith("127.") && isIPv4(host)
}

function localAddress({ localAddress: address }: Pick<Socket, "localAddress">): string | undefined {
  return address?.startsWith("::ffff:") ? address.slice("::ffff:".length) : address
}
