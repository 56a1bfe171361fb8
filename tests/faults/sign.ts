/** Signatures as the SDKs make them, at any time that a test wants. */
import { Sha256 } from "@smithy/core/checksum"
import { SignatureV4 } from "@smithy/signature-v4"

export interface Signing {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly region?: string
  /** When the request says that it was signed; now unless given. */
  readonly at?: () => Date
}

/** Signs bodies of POST requests to an endpoint: for `createClient`. */
export function signer(endpoint: string, { accessKeyId, secretAccessKey, region = "us-east-1", at }: Signing) {
  const { hostname, host } = new URL(endpoint)
  const signature = new SignatureV4({
    service: "ec2",
    region,
    sha256: Sha256,
    credentials: { accessKeyId, secretAccessKey },
  })
  return async (body: string): Promise<Readonly<Record<string, string>>> => {
    const headers = { host, "content-type": "application/x-www-form-urlencoded" }
    const request = { method: "POST", protocol: "http:", hostname, path: "/", query: {}, headers, body }
    const signed = await signature.sign(request, { signingDate: at?.() ?? new Date() })
    return signed.headers
  }
}
