/**
 * The beginning of a connection to an ssh server, as far as its key exchange (RFC 4253 and 8731): prints what the server drew for it, as
 * JSON `{cookie, ephemeral}`, both in hex. Usage: exchange.ts ADDRESS
 */
import { generateKeyPairSync } from "node:crypto"
import { createConnection } from "node:net"

const text = (words: string) => {
  const bytes = Buffer.from(words)
  const size = Buffer.alloc(4)
  size.writeUInt32BE(bytes.length)
  return Buffer.concat([size, bytes])
}

/** One unencrypted packet: padded to a multiple of 8 bytes, with at least 4. */
function packet(payload: Buffer): Buffer {
  const short = 8 - ((payload.length + 5) % 8)
  const padding = short < 4 ? short + 8 : short
  const head = Buffer.alloc(5)
  head.writeUInt32BE(payload.length + padding + 1)
  head[4] = padding
  return Buffer.concat([head, payload, Buffer.alloc(padding)])
}

const offers = ["curve25519-sha256", "ssh-ed25519", "aes128-ctr", "aes128-ctr", "hmac-sha2-256", "hmac-sha2-256"]
const lists = [...offers, "none", "none", "", ""].map(text)
const proposal = Buffer.concat([Buffer.from([20]), Buffer.alloc(16, 1), ...lists, Buffer.alloc(5)])
const { x = "" } = generateKeyPairSync("x25519").publicKey.export({ format: "jwk" })
const begin = Buffer.concat([Buffer.from([30]), Buffer.from([0, 0, 0, 32]), Buffer.from(x, "base64url")])

const socket = createConnection(22, process.argv[2])
socket.setTimeout(20_000, () => socket.destroy(new Error("the server is silent")))
socket.on("connect", () =>
  socket.write(Buffer.concat([Buffer.from("SSH-2.0-exchange\r\n"), packet(proposal), packet(begin)])),
)

let heard = Buffer.alloc(0)
let cookie = ""
let greeted = false
socket.on("data", (part: Buffer) => {
  heard = Buffer.concat([heard, part])
  const end = heard.indexOf("\n")
  if (!greeted && end < 0) return
  if (!greeted) heard = heard.subarray(end + 1)
  greeted = true
  while (heard.length >= 5 && heard.length >= 4 + heard.readUInt32BE(0)) {
    const payload = heard.subarray(5, 4 + heard.readUInt32BE(0) - heard[4]!)
    heard = heard.subarray(4 + heard.readUInt32BE(0))
    if (payload[0] === 20) cookie = payload.toString("hex", 1, 17)
    if (payload[0] !== 31) continue
    const key = 5 + payload.readUInt32BE(1)
    console.log(
      JSON.stringify({ cookie, ephemeral: payload.toString("hex", key + 4, key + 4 + payload.readUInt32BE(key)) }),
    )
    socket.destroy()
  }
})
