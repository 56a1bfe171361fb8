/**
 * SSH to serial ports: `ssh i-....port0@ADDRESS -p PORT`, as on EC2. The name says whose port; a key is good while the host says so. There is a shell
 * channel that is the port, and nothing else: no commands, no files, no forwarding. Everything a client sends is hostile, and so is what a guest prints.
 */
import type { Socket } from "node:net"
import ssh2, { type AuthContext, type Channel, type Connection } from "ssh2"
import { may, open, Refused, type Wanted } from "./host.ts"

const maxClients = 64
/** From the connection to the session. */
const beginMs = 30_000
const maxTries = 6

export interface SerialServerOptions {
  /** In OpenSSH's format. */
  readonly hostKey: Buffer
  /** The host's socket. */
  readonly host: string
  readonly log: (line: string) => void
}

export function serialServer({ hostKey, host, log }: SerialServerOptions) {
  let clients = 0
  return new ssh2.Server(
    { hostKeys: [hostKey], ident: "Fractus-Serial-Console", keepaliveInterval: 30_000, keepaliveCountMax: 4 },
    (client) => {
      client.on("error", (error) => log(`a client: ${error.message}`))
      if (++clients > maxClients) {
        clients--
        return client.end()
      }
      const deadline = setTimeout(() => client.end(), beginMs)
      client.on("close", () => {
        clients--
        clearTimeout(deadline)
      })
      serve(client, host, () => clearTimeout(deadline))
    },
  )
}

function serve(client: Connection, host: string, begun: () => void): void {
  let wanted: Wanted | undefined
  let tries = 0
  client.on("authentication", (context) => {
    if (++tries > maxTries) return client.end()
    authenticate(context, host).then(
      (found) => {
        if (found === undefined) return context.reject(["publickey"])
        wanted = found
        context.accept()
      },
      () => context.reject(["publickey"]),
    )
  })
  let taken = false
  client.on("session", (accept, reject) => {
    const by = wanted
    if (taken || by === undefined) {
      reject?.()
      return
    }
    taken = true
    const session = accept?.()
    session?.on("pty", (agree) => agree?.())
    session?.on("window-change", (agree) => agree?.())
    session?.on("shell", (agree) => {
      const channel = agree?.()
      if (channel === undefined) return
      begun()
      join(channel, by, host, () => client.end())
    })
  })
}

/** Whose port with which key, where both are in order; a client that only asks is told so without a signature. */
async function authenticate(context: AuthContext, host: string): Promise<Wanted | undefined> {
  const [, guest] = /^(i-[0-9a-f]{8,30})\.port0$/.exec(context.username) ?? []
  if (context.method !== "publickey" || guest === undefined || context.key === undefined) return undefined
  const { data } = context.key
  // The type within the key: an algorithm such as rsa-sha2-256 is how it signs.
  const type = data.toString("latin1", 4, 4 + Math.min(data.readUInt32BE(0), 32))
  const key = `${type} ${data.toString("base64")}`
  if (!(await may(host, { guest, key }))) return undefined
  if (context.signature === undefined) return { guest, key }
  const parsed = ssh2.utils.parseKey(key)
  if (parsed instanceof Error || context.blob === undefined) return undefined
  return parsed.verify(context.blob, context.signature, context.hashAlgo) === true ? { guest, key } : undefined
}

/** The channel is the port until either ends. */
function join(channel: Channel, wanted: Wanted, host: string, end: () => void): void {
  channel.on("error", end)
  channel.once("close", end)
  open(host, wanted).then(
    (port) => pass(channel, port),
    (error: unknown) => {
      const why = error instanceof Refused ? error.message : "the serial port cannot be reached"
      channel.stderr.write(`${why}\r\n`)
      channel.exit(1)
      channel.end()
    },
  )
}

function pass(channel: Channel, port: Socket): void {
  port.on("error", () => port.destroy())
  port.once("close", () => {
    channel.exit(0)
    channel.end()
  })
  channel.once("close", () => port.destroy())
  if (channel.destroyed) return void port.destroy()
  // Both wait for who is slower; the host passes over what waits too long.
  port.pipe(channel, { end: false })
  channel.pipe(port)
}
