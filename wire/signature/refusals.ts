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

const s3Mismatch: Row = [
  403,
  "SignatureDoesNotMatch",
  "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
]
const missingToken: Row = [403, "MissingAuthenticationToken", "Request is missing Authentication Token"]
const nonconforming = "The request signature does not conform to AWS standards. {detail}"
const invalidSignature = (message: string): Row => [400, "InvalidSignatureException", message]
const invalidToken = "The security token included in the request is invalid."

/** Services of one group of protocols share their words: those of forms, those of documents, and S3. */
type Words = "ec2Query" | "awsQuery" | "documents" | "s3"
const wordsOf: Readonly<Record<Protocol, Words>> = {
  ec2Query: "ec2Query",
  awsQuery: "awsQuery",
  awsJson1_0: "documents",
  awsJson1_1: "documents",
  rpcv2Cbor: "documents",
  restJson1: "documents",
  restXml: "s3",
}

const rows = {
  missing: {
    ec2Query: missingToken,
    awsQuery: missingToken,
    documents: [400, "MissingAuthenticationTokenException", "Missing Authentication Token"],
    s3: [403, "AccessDenied", "Access Denied"],
  },
  /** The request does not say all that a signature needs. */
  incomplete: {
    ec2Query: [400, "IncompleteSignature", nonconforming],
    awsQuery: [400, "IncompleteSignature", nonconforming],
    documents: [400, "IncompleteSignatureException", nonconforming],
    s3: [400, "AuthorizationHeaderMalformed", "The authorization header is malformed; {detail}"],
  },
  /** The same of a presigned request. */
  incompleteQuery: {
    ec2Query: [400, "IncompleteSignature", nonconforming],
    awsQuery: [400, "IncompleteSignature", nonconforming],
    documents: [400, "IncompleteSignatureException", nonconforming],
    s3: [400, "AuthorizationQueryParametersError", "{detail}"],
  },
  noDate: {
    ec2Query: [400, "IncompleteSignature", nonconforming],
    awsQuery: [400, "IncompleteSignature", nonconforming],
    documents: [400, "IncompleteSignatureException", nonconforming],
    s3: [403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"],
  },
  /** Well formed, but made for something else than this endpoint. */
  scope: {
    ec2Query: authFailure,
    awsQuery: [403, "SignatureDoesNotMatch", "Credential should be scoped to {detail}."],
    documents: invalidSignature("Credential should be scoped to {detail}."),
    s3: [400, "AuthorizationHeaderMalformed", "The authorization header is malformed; it should be for {detail}."],
  },
  expired: {
    ec2Query: [400, "RequestExpired", "Request has expired."],
    awsQuery: [403, "SignatureDoesNotMatch", "Signature expired: {detail}"],
    documents: invalidSignature("Signature expired: {detail}"),
    s3: [403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."],
  },
  /** A presigned request after its time. */
  presignedExpired: {
    ec2Query: [400, "RequestExpired", "Request has expired."],
    awsQuery: [403, "SignatureDoesNotMatch", "Signature expired: {detail}"],
    documents: invalidSignature("Signature expired: {detail}"),
    s3: [403, "AccessDenied", "Request has expired"],
  },
  notYet: {
    ec2Query: [400, "RequestExpired", "Request has expired."],
    awsQuery: [403, "SignatureDoesNotMatch", "Signature not yet current: {detail}"],
    documents: invalidSignature("Signature not yet current: {detail}"),
    s3: [403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."],
  },
  mismatch: {
    ec2Query: authFailure,
    awsQuery: notMatching,
    documents: invalidSignature(notMatching[2]),
    s3: s3Mismatch,
  },
  /** A session token beside a permanent key. */
  token: {
    ec2Query: authFailure,
    awsQuery: [403, "InvalidClientTokenId", invalidToken],
    documents: [400, "UnrecognizedClientException", invalidToken],
    s3: [400, "InvalidToken", "The provided token is malformed or otherwise invalid."],
  },
  /** No such key, or one that is switched off. */
  unknownKey: {
    ec2Query: authFailure,
    awsQuery: [403, "InvalidClientTokenId", invalidToken],
    documents: [400, "UnrecognizedClientException", invalidToken],
    s3: [403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."],
  },
} as const satisfies Record<string, Record<Words, Row>>

export type Refusal = keyof typeof rows

/** The fault for a refusal. `detail` must hold nothing that only the server knows. */
export function refusal(reason: Refusal, protocol: Protocol, detail = ""): Fault {
  const [status, code, message] = rows[reason][wordsOf[protocol]]
  return new Fault(
    code,
    message.replace("{detail}", () => detail),
    status,
  )
}
