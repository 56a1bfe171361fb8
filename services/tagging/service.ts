/** Resource Groups Tagging API. https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/ */
import { type Call, type Cloud, runCall } from "#cloud/call.ts"
import { withoutTags } from "#cloud/resources/tags.ts"
import { createDispatcher, type Dispatcher, pure } from "#cloud/service.ts"
import { Fault } from "#lib/fault.ts"
import { adding, type Change, retag } from "../ec2/tags/handlers.ts"
import { checkKey, readTags } from "../ec2/tags/rules.ts"
import { idOf } from "./arn.ts"
import { expired, type Handler, type Handlers, invalid } from "./handler.ts"
import { getResources } from "./resources.ts"
import { isFirst, readToken, walk, writeToken } from "./rows.ts"

const keysAPage = 500

const getTagKeys: Handler<"GetTagKeys"> = async (input, call) => {
  const keys = new Set<string>()
  const known = new Set<string>()
  const next = await walk(call, {
    facets: [],
    after: readToken(input.PaginationToken, expired, "GetTagKeys"),
    async take(row) {
      const { key } = row.record
      if (keys.size >= keysAPage && !known.has(key)) return true
      // A key that was told on an earlier page has its first row there.
      if (!known.has(key) && (await isFirst(call, row, [{ name: "key", values: [key] }]))) keys.add(key)
      known.add(key)
      return false
    },
  })
  return { TagKeys: [...keys], PaginationToken: writeToken(next, "GetTagKeys") }
}

const getTagValues: Handler<"GetTagValues"> = async ({ Key, PaginationToken }, call) => {
  if (Key === undefined || Key === "" || Key.length > 128) throw invalid("Key must have 1 to 128 characters")
  const values = new Set<string>()
  const known = new Set<string>()
  const ofKey = { name: "key", values: [Key] }
  const next = await walk(call, {
    facets: [ofKey],
    after: readToken(PaginationToken, expired, "GetTagValues", Key),
    async take(row) {
      const { value } = row.record
      if (values.size >= keysAPage && !known.has(value)) return true
      if (!known.has(value) && (await isFirst(call, row, [ofKey, { name: "value", values: [value] }])))
        values.add(value)
      known.add(value)
      return false
    },
  })
  return { TagValues: [...values], PaginationToken: writeToken(next, "GetTagValues", Key) }
}

const mostArns = 20

/** Each resource by itself, in a commit of its own: the map of those that could not be changed, and why. */
async function changeAll(call: Call, arns: readonly string[], change: Change) {
  if (arns.length < 1 || arns.length > mostArns) throw invalid(`ResourceARNList must hold 1 to ${mostArns} ARNs`)
  const failed: [string, { StatusCode: number; ErrorCode: "InvalidParameterException"; ErrorMessage: string }][] = []
  for (const arn of new Set(arns)) {
    try {
      const id = idOf(call, arn, invalid)
      await runCall(call.cloud, call.info, false, (own) => retag(own, [id], change))
    } catch (error) {
      if (!(error instanceof Fault) || error.status >= 500) throw error
      failed.push([arn, { StatusCode: 400, ErrorCode: "InvalidParameterException", ErrorMessage: error.message }])
    }
  }
  return { FailedResourcesMap: Object.fromEntries(failed) }
}

/** EC2's rules for tags, in the words of this service. */
function ruled<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw error instanceof Fault ? invalid(error.message) : error
  }
}

const tagResources: Handler<"TagResources"> = async ({ ResourceARNList = [], Tags = {} }, call) => {
  const entries = Object.entries(Tags)
  if (entries.length < 1 || entries.length > 50) throw invalid("Tags must hold 1 to 50 tags")
  const tags = ruled(() => readTags(entries.map(([Key, Value]) => ({ Key, Value }))))
  return changeAll(call, ResourceARNList, adding(tags))
}

const untagResources: Handler<"UntagResources"> = async ({ ResourceARNList = [], TagKeys = [] }, call) => {
  if (TagKeys.length < 1 || TagKeys.length > 50) throw invalid("TagKeys must hold 1 to 50 keys")
  ruled(() => TagKeys.forEach((key) => checkKey(key)))
  const removed = TagKeys.map((key) => ({ key }))
  return changeAll(call, ResourceARNList, (tags) => withoutTags(tags, removed))
}

export const handlers = {
  GetResources: pure(getResources),
  GetTagKeys: pure(getTagKeys),
  GetTagValues: pure(getTagValues),
  TagResources: tagResources,
  UntagResources: untagResources,
} satisfies Handlers

export function createService(cloud: Cloud): Dispatcher {
  return createDispatcher(cloud, handlers)
}
