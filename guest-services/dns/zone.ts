/** The names that a guest's resolver answers by itself: its private zone, as AmazonProvidedDNS does. */
import type { Answer } from "dns-packet"
import { isIPv4 } from "node:net"
import type { Question } from "./messages.ts"

/** "none": the zone is ours and has no such name. Undefined: not ours, ask upstream. */
export type ZoneAnswer =
  | { readonly kind: "answers"; readonly answers: Answer[] }
  | { readonly kind: "none" }
  | undefined

const ttl = 60
const metadataAddress = "169.254.169.254"

const isPrivate = (address: string) => /^(10\.|192\.168\.|172\.(1[6-9]|2[0-9]|3[01])\.)/.test(address)

function addressOfName(label: string): string | undefined {
  if (label === "instance-data") return metadataAddress
  const address = /^ip-([0-9]{1,3}-[0-9]{1,3}-[0-9]{1,3}-[0-9]{1,3})$/.exec(label)?.[1]?.replaceAll("-", ".")
  return address !== undefined && isIPv4(address) ? address : undefined
}

function nameOfAddress(reverse: string, domainName: string): string | undefined {
  const address = reverse.split(".").toReversed().join(".")
  if (address === metadataAddress) return `instance-data.${domainName}`
  return isPrivate(address) ? `ip-${address.replaceAll(".", "-")}.${domainName}` : undefined
}

const wants = (question: Question, type: string) => question.type === type || question.type === "ANY"

/** Answer `question` from the zone of a guest whose domain is `domainName`. */
export function answerFromZone(question: Question, domainName: string): ZoneAnswer {
  const name = question.name.toLowerCase()
  const domain = domainName.toLowerCase()
  const reverse = /^([0-9.]+)\.in-addr\.arpa$/.exec(name)?.[1]
  if (reverse !== undefined) {
    const target = isIPv4(reverse) ? nameOfAddress(reverse, domain) : undefined
    if (target === undefined) return undefined
    const answers: Answer[] = wants(question, "PTR") ? [{ type: "PTR", name: question.name, ttl, data: target }] : []
    return { kind: "answers", answers }
  }
  const label =
    name === "instance-data" ? name : name.endsWith(`.${domain}`) ? name.slice(0, -domain.length - 1) : undefined
  if (label === undefined) return name === domain ? { kind: "answers", answers: [] } : undefined
  const address = addressOfName(label)
  if (address === undefined) return { kind: "none" }
  // The name is there, but has no address of version 6: an empty answer, not "no such name".
  const answers: Answer[] = wants(question, "A") ? [{ type: "A", name: question.name, ttl, data: address }] : []
  return { kind: "answers", answers }
}
