/** Why a signature is refused, in each protocol's own code and words, in one table. */
import { Fault } from "#lib/fault.ts"
import type { Protocol } from "../types.ts"

type Row = readonly [status: number, code: string, message: string]

const authFailure: Row = [401, "AuthFailure", "AWS was not able to validate the provided access credentials"]
const notMatching: Row = [
  403,
  "SignatureDoesNotMatch",
  "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
]

const rows = {
  missing: {
    ec2Query: [403, "MissingAuthenticationToken", "Request is missing Authentication Token"],
    awsQuery: [403, "MissingAuthenticationToken", "Request is missing Authentication Token"],
  },
  /** The request does not say all that a signature needs. */
  incomplete: {
    ec2Query: [400, "IncompleteSignature", "The request signature does not conform to AWS standards. {detail}"],
    awsQuery: [400, "IncompleteSignature", "The request signature does not conform to AWS standards. {detail}"],
  },
  /** Well formed, but made for something else than this endpoint. */
  scope: {
    ec2Query: authFailure,
    awsQuery: [403, "SignatureDoesNotMatch", "Credential should be scoped to {detail}."],
  },
  expired: {
    ec2Query: [400, "RequestExpired", "Request has expired."],
    awsQuery: [403, "SignatureDoesNotMatch", "Signature expired: {detail}"],
  },
  notYet: {
    ec2Query: [400, "RequestExpired", "Request has expired."],
    awsQuery: [403, "SignatureDoesNotMatch", "Signature not yet current: {detail}"],
  },
  mismatch: { ec2Query: authFailure, awsQuery: notMatching },
  /** No such key, or one that is switched off. */
  unknownKey: {
    ec2Query: authFailure,
    awsQuery: [403, "InvalidClientTokenId", "The security token included in the request is invalid."],
  },
} as const satisfies Record<string, Record<Protocol, Row>>

export type Refusal = keyof typeof rows

/** The fault for a refusal. `detail` must hold nothing that only the server knows. */
export function refusal(reason: Refusal, protocol: Protocol, detail = ""): Fault {
  const [status, code, message] = rows[reason][protocol]
  return new Fault(
    code,
    message.replace("{detail}", () => detail),
    status,
  )
}
