/**
 * Client tokens: the same token with the same parameters gives the first answer again, with others IdempotentParameterMismatch.
 * A token lives as long as what it made ("Ensuring idempotency in Amazon EC2 API requests").
 */
import { createHash } from "node:crypto"
import type { Call } from "../call.ts"
import { raise } from "../errors.ts"
import { defineKind, fromStored, type Tagged } from "./kind.ts"

interface TokenRecord extends Tagged {
  readonly hash: string
  readonly result: string
}

const tokenKind = defineKind<TokenRecord>({
  name: "client-token",
  prefix: "token",
  schema: 1,
  notFound: ["InvalidClientToken", "The client token '{id}' does not exist"],
  malformed: ["InvalidClientToken", "The client token '{id}' is not valid"],
  facets: () => ({}),
})

/** Of most operations' tokens. */
const usualLength = 64

function idOf(call: Call, token: string): string {
  const hash = createHash("sha256").update(token).digest("hex").slice(0, 40)
  return `token:${call.account}:${call.region}:${call.info.operation}:${hash}`
}

function hashOf(parameters: object): string {
  return createHash("sha256").update(JSON.stringify(parameters, sortKeys)).digest("base64url")
}
function sortKeys(_: string, value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** Id of what an earlier call with this token made, or undefined. `maxLength` in characters. Throws IdempotentParameterMismatch. */
export async function earlierResult(
  call: Call,
  token: string | undefined,
  parameters: object,
  maxLength = usualLength,
): Promise<string | undefined> {
  if (token === undefined || token === "") return undefined
  if (token.length > maxLength || !/^[\x21-\x7e ]+$/.test(token))
    throw raise("InvalidParameterValue", {
      detail: `Invalid client token: must be at most ${maxLength} ASCII characters`,
    })
  const stored = (await call.store.getMany([idOf(call, token)])).values().next().value
  if (stored === undefined) return undefined
  const { hash, result } = fromStored<TokenRecord>(stored).record
  if (hash !== hashOf(parameters)) throw raise("IdempotentParameterMismatch", { token })
  return result
}

/** Remembers in the draft that this token made `result`. A concurrent call with the same token conflicts and then replays. */
export function rememberToken(call: Call, token: string | undefined, parameters: object, result: string): void {
  if (token === undefined || token === "") return
  const id = idOf(call, token)
  call.draft.create(tokenKind, { hash: hashOf(parameters), result, tags: [] }, id)
  call.draft.link(id, result, "owned")
}
