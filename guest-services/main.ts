/**
 * Metadata and DNS of the guests, as one process without privileges in the infrastructure namespace:
 *   node guest-services/main.ts --directory DIR [--upstream-resolver auto|ADDRESS[:PORT],…]
 *     [--relay SOCKET] [--public-cidr CIDR] [--resolv-conf PATH] [--resolv-conf-behind-stub PATH]
 *     [--metadata-address 169.254.169.254:80] [--resolver-address 169.254.169.253:53]
 * DIR holds `<infrastructure address>.json` per guest and `<network>.json` per network. Prints one line when both services listen; ends on SIGTERM.
 */
import { once } from "node:events"
import { parseArgs } from "node:util"
import { systemClock } from "#lib/clock.ts"
import { startOverIfCompiling } from "#lib/compiled.ts"
import { dnsServer } from "./dns/server.ts"
import { upstreams } from "./dns/whom-to-ask.ts"
import { openDocuments } from "./documents.ts"
import { hopLimiter } from "./metadata/hop-limit.ts"
import { metadataServer } from "./metadata/server.ts"
import { readTokenKey, tokensOf } from "./metadata/tokens.ts"

const { values } = parseArgs({
  options: {
    directory: { type: "string" },
    "upstream-resolver": { type: "string", default: "auto" },
    relay: { type: "string" },
    "public-cidr": { type: "string" },
    "resolv-conf": { type: "string" },
    "resolv-conf-behind-stub": { type: "string" },
    "metadata-address": { type: "string", default: "169.254.169.254:80" },
    "resolver-address": { type: "string", default: "169.254.169.253:53" },
  },
})
if (values.directory === undefined) {
  process.stderr.write("guest-services: --directory is missing\n")
  process.exit(2)
}
await startOverIfCompiling()

const clock = systemClock()
const documents = openDocuments(values.directory)
const metadata = metadataServer({
  documents,
  tokens: tokensOf(readTokenKey(values.directory), clock),
  clock,
  setHopLimit: await hopLimiter((line) => process.stderr.write(`guest-services: ${line}\n`)),
})
const publicCidr = values["public-cidr"]
const dns = dnsServer({
  documents,
  clock,
  upstreams: upstreams(values["upstream-resolver"], clock, {
    relay: values.relay,
    used: values["resolv-conf"],
    behindStub: values["resolv-conf-behind-stub"],
  }),
  ...(publicCidr === undefined ? {} : { publicCidr }),
})

function split(address: string): { host: string; port: number } {
  const [host = "", port = ""] = address.split(":")
  return { host, port: Number(port) }
}

const at = split(values["metadata-address"])
const resolver = split(values["resolver-address"])
metadata.listen(at.port, at.host, 1024)
dns.tcp.listen(resolver.port, resolver.host, 256)
dns.udp.bind(resolver.port, resolver.host)
await Promise.all([once(metadata, "listening"), once(dns.tcp, "listening"), once(dns.udp, "listening")])
process.stdout.write("guest-services: listening\n")

// Open requests are answered within moments; a guest that holds a connection does not hold us.
process.once("SIGTERM", () => process.exit(0))
