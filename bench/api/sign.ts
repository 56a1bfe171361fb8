/** Signs requests before anything is timed: whole HTTP requests as bytes. Signature Version 4 by header. */
import { createHash, createHmac } from "node:crypto"
import type { Credentials } from "#daemon/home-records.ts"

export interface Target {
  readonly port: number
  readonly credentials: Credentials
  readonly region: string
}

const version = "2016-11-15"
/** Requests are signed for seconds around now; the server takes fifteen minutes in both directions. */
const windowS = 600

/**
 * `count` requests of one EC2 call, signed for different seconds as far as the window goes, so that no signature is seen
 * often enough for anything but honest work.
 */
export function signedRequests(
  target: Target,
  parameters: Readonly<Record<string, string>>,
  count: number,
): readonly Buffer[] {
  const nowS = Math.floor(Date.now() / 1000)
  const body = new URLSearchParams({ ...parameters, Version: version }).toString()
  const bodyHash = sha256(body)
  return Array.from({ length: Math.min(count, windowS) }, (_, at) =>
    request(target, body, bodyHash, new Date((nowS - windowS / 2 + at) * 1000)),
  )
}

function request({ port, credentials, region }: Target, body: string, bodyHash: string, at: Date): Buffer {
  const timestamp = at.toISOString().replaceAll(/[-:]|\.\d+/g, "")
  const scope = `${timestamp.slice(0, 8)}/${region}/ec2/aws4_request`
  const type = "application/x-www-form-urlencoded; charset=utf-8"
  const host = `127.0.0.1:${port}`
  const signed = "content-type;host;x-amz-date"
  const canonical = `POST\n/\n\ncontent-type:${type}\nhost:${host}\nx-amz-date:${timestamp}\n\n${signed}\n${bodyHash}`
  const toSign = `AWS4-HMAC-SHA256\n${timestamp}\n${scope}\n${sha256(canonical)}`
  const key = scope.split("/").reduce<string | Buffer>(hmac, `AWS4${credentials.secretAccessKey}`)
  const signature = hmac(key, toSign).toString("hex")
  // The headers that boto3 sends.
  const head = [
    "POST / HTTP/1.1",
    `Host: ${host}`,
    "Accept-Encoding: identity",
    `Content-Type: ${type}`,
    "User-Agent: Boto3/1.34.46 md/Botocore#1.34.46 ua/2.0 os/linux#6.1 md/arch#x86_64 lang/python#3.11.2 Botocore/1.34.46",
    `X-Amz-Date: ${timestamp}`,
    `Authorization: AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${signed}, Signature=${signature}`,
    "amz-sdk-invocation-id: 5f0f6d3c-7a57-4b1e-9f0e-0d9a3c3e7b11",
    "amz-sdk-request: attempt=1",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ]
  return Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`)
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex")
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest()
}
