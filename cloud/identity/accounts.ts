/** Accounts and their access keys. Every key is today its account's root user's. */
import { randomBytes, randomInt } from "node:crypto"
import { Fault } from "#lib/fault.ts"
import type { Store } from "#store/types.ts"
import type { Cloud } from "../call.ts"
import { commitDraft, createDraft } from "../resources/draft.ts"
import { defineKind, fromStored, type Tagged } from "../resources/kind.ts"

interface AccountRecord extends Tagged {
  readonly name: string
  readonly createdMs: number
}
interface AccessKeyRecord extends Tagged {
  readonly secret: string
  readonly active: boolean
}

const never = ["InvalidParameterValue", "The id '{id}' is not valid"] as const
const accountKind = defineKind<AccountRecord>({
  name: "account",
  prefix: "account",
  schema: 1,
  notFound: never,
  malformed: never,
  facets: ({ record }) => ({ name: record.name }),
})
const accessKeyKind = defineKind<AccessKeyRecord>({
  name: "access-key",
  prefix: "AKIA",
  schema: 1,
  notFound: never,
  malformed: never,
  facets: () => ({}),
})

const anywhere = "*"
const accountId = (account: string) => `account:${account}`
const maxAccounts = 1000

export interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}
export interface AccountKeys extends Keys {
  readonly account: string
  readonly name: string
}

/** Who a key belongs to, for the wire. */
export interface KeyOwner {
  readonly secretAccessKey: string
  readonly active: boolean
  readonly caller: {
    readonly accessKeyId: string
    readonly account: string
    readonly arn: string
    readonly userId: string
  }
}

/** Makes an account with a root access key. `number` is twelve digits, drawn if it is not given; so are the keys. */
export async function createAccount(
  cloud: Pick<Cloud, "store" | "clock" | "sink">,
  name: string,
  given: { readonly account?: string; readonly keys?: Keys } = {},
): Promise<AccountKeys> {
  if (!/^[\w .@+=,-]{1,64}$/.test(name))
    throw new Fault("ValidationError", "An account's name has 1 to 64 letters, digits and . @ + = , - _")
  if ((await listAccounts(cloud.store)).length >= maxAccounts)
    throw new Fault("LimitExceeded", `A home has at most ${maxAccounts} accounts`)
  const account = given.account ?? String(randomInt(100_000_000_000, 281_474_976_710_655)).slice(0, 12)
  const keys = { account, name, ...newKeys(), ...given.keys }
  const nowMs = cloud.clock.cloudMs()
  const draft = createDraft({ account, region: anywhere, nowMs })
  draft.create(accountKind, { name, createdMs: nowMs, tags: [] }, accountId(account))
  draft.create(accessKeyKind, { secret: keys.secretAccessKey, active: true, tags: [] }, keys.accessKeyId)
  draft.link(keys.accessKeyId, accountId(account), "owned")
  await commitDraft(cloud.store, draft, cloud.sink)
  return keys
}

export async function listAccounts(
  store: Store,
): Promise<readonly { readonly account: string; readonly name: string }[]> {
  const page = await store.query({ kind: accountKind.name, accounts: [], regions: [anywhere], limit: maxAccounts })
  return page.items.map((stored) => ({ account: stored.account, name: fromStored<AccountRecord>(stored).record.name }))
}

/** A fresh pair. The id is base32 as AWS's own are: "AKIA" and 16 letters and digits; the secret has 40 characters. */
export function newKeys(): Keys {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
  return {
    accessKeyId: `AKIA${Array.from(randomBytes(16), (byte) => alphabet[byte % 32]).join("")}`,
    secretAccessKey: randomBytes(30).toString("base64"),
  }
}

/** Looks up keys in the store. Every lookup is one read, known key or not. */
export function keySource(store: Store): (accessKeyId: string) => Promise<KeyOwner | undefined> {
  return async (accessKeyId) => {
    const stored = (await store.getMany([accessKeyId])).get(accessKeyId)
    if (stored?.kind !== accessKeyKind.name) return undefined
    const { record, account } = fromStored<AccessKeyRecord>(stored)
    return { secretAccessKey: record.secret, active: record.active, caller: rootOf(account, accessKeyId) }
  }
}

/** The root user of an account. */
export function rootOf(account: string, accessKeyId: string): KeyOwner["caller"] {
  return { accessKeyId, account, arn: `arn:aws:iam::${account}:root`, userId: account }
}
