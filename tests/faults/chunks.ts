/** Bodies in chunks as S3's clients send them, and what may be wrong with such a body. */
import { crc32 } from "node:zlib"
import type { RawRequest } from "./client.ts"
import type { Random } from "./random.ts"

type Headers = Record<string, string>
const signature = "0".repeat(64)

/** The content in one or more chunks, whole or wrong in one place, with the headers that announce it. */
export function inChunks(
  content: Buffer,
  headers: Readonly<Headers>,
  random: Random,
): Pick<RawRequest, "headers" | "body"> {
  const isSigned = random.once(2)
  const hasTrailer = !isSigned || random.once(2)
  const kind = isSigned ? "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" : "STREAMING-UNSIGNED-PAYLOAD"
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(content))
  const cut = random.below(content.length + 1)
  const pieces = [content.subarray(0, cut), content.subarray(cut)].filter(({ length }) => length > 0)
  const head = (length: number) => `${length.toString(16)}${isSigned ? `;chunk-signature=${signature}` : ""}\r\n`
  const parts = [...pieces.flatMap((piece) => [head(piece.length), piece, "\r\n"]), head(0)]
  if (hasTrailer) {
    parts.push(`x-amz-checksum-crc32:${sum.toString("base64")}\r\n`)
    if (isSigned) parts.push(`x-amz-trailer-signature:${signature}\r\n`)
  }
  parts.push("\r\n")
  const whole = random.once(2) ? parts : spoilParts(parts, random)
  return {
    headers: {
      ...headers,
      "content-encoding": "aws-chunked",
      "x-amz-content-sha256": kind + (hasTrailer ? "-TRAILER" : ""),
      "x-amz-decoded-content-length": String(random.once(8) ? random.below(100) : content.length),
      ...(hasTrailer ? { "x-amz-trailer": random.once(8) ? "x-amz-checksum-sha256" : "x-amz-checksum-crc32" } : {}),
    },
    body: Buffer.concat(whole.map((part) => Buffer.from(part))),
  }
}

const wrongHeads = [
  ..."-1 ffffffff fffffffff 7fffffff 0x5 g 1e3 +5 00000000000000000001".split(" "),
  ...Array.of("", " ", "5;", "a".repeat(5000)),
  ...Array.of(`5;chunk-signature=${"g".repeat(64)}`, `5;chunk-signature=${signature};x=1`),
]

function spoilParts(parts: readonly (string | Buffer)[], random: Random): (string | Buffer)[] {
  const spoilt = [...parts]
  const at = random.below(spoilt.length)
  const choice = random.below(6)
  if (choice === 0) spoilt.splice(at, 1)
  else if (choice === 1) spoilt.splice(at)
  else if (choice === 2) spoilt[at] = `${random.pick(wrongHeads)}\r\n`
  else if (choice === 3) spoilt.push(...Array.from({ length: 40 }, (_, index) => `x-amz-meta-${index}: a\r\n`), "\r\n")
  else if (choice === 4) spoilt.splice(at, 0, Buffer.from([0, 255, 13, 10]))
  else spoilt[at] = Buffer.from(spoilt[at] ?? "").subarray(1)
  return spoilt
}
