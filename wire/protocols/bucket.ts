/** Where the bucket of an S3 request stands: before the path, or in the host's name. */
import { isIPv4 } from "node:net"
import { firstOf, type SignedRequest } from "../signature/claim.ts"

/**
 * The bucket and the path below it. "bucket.s3.anything" and "bucket.localhost" name a bucket by their first labels; whoever wants another
 * name uses path style, as https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html has both.
 */
export function bucketOf(signed: SignedRequest): { readonly hostLabel: string | undefined; readonly path: string } {
  const host = (firstOf(signed.headers, "host") ?? "").replace(/:\d+$/, "").toLowerCase()
  const named = isIPv4(host) ? undefined : /^(.+)\.(?:s3[.-].+|s3|localhost)$/.exec(host)?.[1]
  if (named !== undefined && named !== "s3")
    return { hostLabel: named.replace(/\.s3(?:[.-].*)?$/, ""), path: signed.path }
  const [, bucket = "", rest = ""] = /^\/([^/]*)(.*)$/.exec(signed.path) ?? []
  return bucket === "" ? { hostLabel: undefined, path: signed.path } : { hostLabel: decoded(bucket), path: rest || "/" }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
