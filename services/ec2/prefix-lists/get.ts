/** GetManagedPrefixListEntries and GetManagedPrefixListAssociations, in pages. */
import type { Call } from "#cloud/call.ts"
import { raise } from "../errors.ts"
import type { Handler } from "../handler.ts"
import { prefixListKind, versionId, versionKind } from "./record.ts"
import { groupsOf } from "./references.ts"

/** Of the current version or of an earlier one; later pages are of the version that the first was of. */
export const getManagedPrefixListEntries: Handler<"GetManagedPrefixListEntries"> = async (input, call) => {
  const limit = readLimit(input.MaxResults, [1, 100])
  const list = await requireList(call, "ec2:GetManagedPrefixListEntries", input.PrefixListId)
  const mark = `entries ${list.id} ${input.TargetVersion ?? "current"}`
  const start = readToken(input.NextToken, mark)
  const version = input.TargetVersion ?? start?.version ?? list.record.version
  const found = await call.find(versionKind, versionId(list.id, version))
  if (found === undefined)
    throw raise("InvalidParameterValue", { detail: `The prefix list '${list.id}' has no version ${version}.` })
  const { page, next } = cut(found.record.entries, start?.offset ?? 0, limit)
  return {
    Entries: page.map(({ cidr, description }) => ({
      Cidr: cidr,
      ...(description === undefined ? {} : { Description: description }),
    })),
    ...(next === undefined ? {} : { NextToken: writeToken({ version, offset: next }, mark) }),
  }
}

export const getManagedPrefixListAssociations: Handler<"GetManagedPrefixListAssociations"> = async (input, call) => {
  const limit = readLimit(input.MaxResults, [5, 255])
  const list = await requireList(call, "ec2:GetManagedPrefixListAssociations", input.PrefixListId)
  const mark = `associations ${list.id}`
  const start = readToken(input.NextToken, mark)
  const { page, next } = cut(await groupsOf(call, list), start?.offset ?? 0, limit)
  return {
    PrefixListAssociations: page.map(({ id, account }) => ({ ResourceId: id, ResourceOwner: account })),
    ...(next === undefined ? {} : { NextToken: writeToken({ version: list.record.version, offset: next }, mark) }),
  }
}

async function requireList(call: Call, action: string, id: string | undefined) {
  const list = await call.require(prefixListKind, id, "PrefixListId")
  call.authorize(action, list)
  return list
}

function readLimit(given: number | undefined, [min, max]: readonly [number, number]): number {
  if (given === undefined) return 1000
  if (given >= min && given <= max) return given
  throw raise("InvalidParameterValue", {
    detail: `Value ( ${given} ) for parameter maxResults is invalid. Expecting a value between ${min} and ${max}.`,
  })
}

function cut<T>(all: readonly T[], offset: number, limit: number) {
  const end = offset + limit
  return { page: all.slice(offset, end), next: end < all.length ? end : undefined }
}

interface Position {
  readonly version: number
  readonly offset: number
}

const writeToken = ({ version, offset }: Position, mark: string) =>
  Buffer.from(`${version} ${offset} ${mark}`).toString("base64url")

function readToken(token: string | undefined, mark: string): Position | undefined {
  if (token === undefined || token === "") return undefined
  const [, version = "", offset = "", rest] =
    /^(\d{1,9}) (\d{1,9}) (.*)$/.exec(Buffer.from(token, "base64url").toString("latin1")) ?? []
  if (rest !== mark) throw raise("InvalidNextToken", { token })
  return { version: Number(version), offset: Number(offset) }
}
