/**
 * Bodies in chunks, as S3's clients sign or check them while they send: "aws-chunked".
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and .../sigv4-streaming-trailers.html
 */
import { hash } from "node:crypto"
import { Fault } from "#lib/fault.ts"
import type { Claim } from "./claim.ts"
import { type HmacKey, hmacHex } from "./hmac.ts"

export interface ChunkOptions {
  /** Key and claim of the request, where its chunks are signed; undefined: the frames alone are read. */
  readonly signed: { readonly key: HmacKey; readonly claim: Claim } | undefined
  /** Called with the trailing headers, names in lower case, after the last chunk. */
  readonly onTrailers: (trailers: ReadonlyMap<string, string>) => void
}

const longestLine = 1024
const mostTrailers = 16
const largestChunk = 16 * 1024 * 1024

/** The bytes within the chunks. A chunk is handed on in the pieces in which it came; it throws before the end when it was not signed so. */
export async function* readChunks(
  source: AsyncIterable<Uint8Array>,
  options: ChunkOptions,
): AsyncGenerator<Uint8Array> {
  const reader = createReader(source)
  const chain = options.signed && createChain(options.signed)
  for (;;) {
    const head = await reader.line()
    const [, digits = "", signature] = /^([0-9a-fA-F]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(head) ?? []
    const sizeBytes = Number.parseInt(digits, 16)
    if (digits === "" || sizeBytes > largestChunk || (chain && signature === undefined)) throw incomplete()
    const parts: Uint8Array[] = []
    for (let left = sizeBytes; left > 0;) {
      const part = await reader.some(left)
      left -= part.length
      // What is not yet proven is kept back, so that nobody writes what nobody signed.
      if (chain) parts.push(part)
      else yield part
    }
    if (chain) {
      chain.check("AWS4-HMAC-SHA256-PAYLOAD", hash("sha256", Buffer.concat(parts), "hex"), signature ?? "", true)
      yield* parts
    }
    if (sizeBytes === 0) break
    if ((await reader.line()) !== "") throw incomplete()
  }
  const trailers = await readTrailers(reader)
  const signature = trailers.get("x-amz-trailer-signature")
  trailers.delete("x-amz-trailer-signature")
  if (chain && trailers.size > 0) {
    const text = [...trailers].map(([name, value]) => `${name}:${value}\n`).join("")
    chain.check("AWS4-HMAC-SHA256-TRAILER", hash("sha256", text, "hex"), signature ?? "", false)
  }
  await reader.end()
  options.onTrailers(trailers)
}

async function readTrailers(reader: Reader): Promise<Map<string, string>> {
  const trailers = new Map<string, string>()
  for (;;) {
    const line = await reader.line(true)
    if (line === "") return trailers
    const colon = line.indexOf(":")
    if (colon < 1 || trailers.size >= mostTrailers) throw incomplete()
    trailers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim())
  }
}

/** Each signature covers the one before, beginning with the request's. */
function createChain({ key, claim }: NonNullable<ChunkOptions["signed"]>) {
  let previous = claim.signature
  const nothing = hash("sha256", "", "hex")
  return {
    check(algorithm: string, contentHash: string, signature: string, withNothing: boolean): void {
      const lines = [algorithm, claim.timestamp, claim.scope, previous, ...(withNothing ? [nothing] : []), contentHash]
      const expected = hmacHex(key, lines.join("\n"))
      // The key was proven by the request's own signature; what differs here tells nobody anything new.
      if (expected !== signature)
        throw new Fault(
          "SignatureDoesNotMatch",
          "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
          403,
        )
      previous = expected
    },
  }
}

interface Reader {
  /** Up to the next line feed, without it and a carriage return. `atEnd`: the end of all bytes ends a line too. */
  line(atEnd?: boolean): Promise<string>
  /** At least one byte, at most `most`. */
  some(most: number): Promise<Uint8Array>
  /** Throws when there is more. */
  end(): Promise<void>
}

function createReader(source: AsyncIterable<Uint8Array>): Reader {
  const pieces = source[Symbol.asyncIterator]()
  let rest: Buffer = Buffer.alloc(0)
  const more = async (): Promise<boolean> => {
    const next = await pieces.next()
    if (next.done === true) return false
    const piece = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length)
    rest = rest.length === 0 ? piece : Buffer.concat([rest, piece])
    return true
  }
  return {
    async line(atEnd = false) {
      for (;;) {
        const feed = rest.indexOf(10)
        if (feed > longestLine || (feed < 0 && rest.length > longestLine)) throw incomplete()
        if (feed >= 0) {
          const line = rest.toString("latin1", 0, feed)
          rest = rest.subarray(feed + 1)
          return line.replace(/\r$/, "")
        }
        if (await more()) continue
        if (!atEnd || rest.length > 0) throw incomplete()
        return ""
      }
    },
    async some(most) {
      while (rest.length === 0) if (!(await more())) throw incomplete()
      const part = rest.subarray(0, most)
      rest = rest.subarray(part.length)
      return part
    },
    async end() {
      if (rest.length > 0 || (await more())) throw incomplete()
    },
  }
}

function incomplete(): Fault {
  return new Fault("IncompleteBody", "The request body terminated unexpectedly")
}
