/** GetResources: what has tags, by tags, types or ARNs. */
import type { Input } from "#wire/typed.ts"
import type * as SDK from "@aws-sdk/client-resource-groups-tagging-api"
import type { Call } from "#cloud/call.ts"
import type { FacetMatch } from "#store/types.ts"
import { arnOf, idOf } from "./arn.ts"
import { readToken, rowsOf, type TagRow, walk, writeToken } from "./rows.ts"
import { expired, type Handler, invalid, raise } from "./handler.ts"

type Asked = Input<typeof SDK, "GetResources">

interface TagFilter {
  readonly key: string
  /** None for any value. */
  readonly values: readonly string[]
}

export const getResources: Handler<"GetResources"> = async (input, call) => {
  const filters = readFilters(input)
  const types = readTypes(input.ResourceTypeFilters ?? [])
  const sizes = readSizes(input)
  const ids = readIds(input, call)
  const facets: FacetMatch[] = [
    ...(filters[0] ? [facetOf(filters[0])] : []),
    ...(types === undefined ? [] : [{ name: "resource-type", values: types }]),
    ...(ids === undefined ? [] : [{ name: "resource-id", values: ids }]),
  ]
  const query = ["GetResources", filters, types ?? "all", ids ?? "all"]
  const after = readToken(input.PaginationToken, expired, ...query)
  if (types?.length === 0) return { ResourceTagMappingList: [], PaginationToken: "" }
  const found: { ResourceARN: string; Tags: { Key: string; Value: string }[] }[] = []
  let tags = 0
  let all: ReadonlyMap<string, readonly TagRow[]> = new Map()
  const next = await walk(call, {
    facets,
    after,
    async prepare(rows) {
      all = await rowsOf(call, [...new Set(rows.map(({ record }) => record.resource))])
    },
    take(row) {
      const own = all.get(row.record.resource) ?? []
      // It stands where the first of its rows stands that the query finds.
      const first = own.find((each) => !filters[0] || hasTag(filters[0], [each]))
      if (first?.sequence !== row.sequence || !filters.every((filter) => hasTag(filter, own))) return false
      if (found.length >= sizes.resources || (found.length > 0 && tags + own.length > sizes.tags)) return true
      tags += own.length
      found.push({
        ResourceARN: arnOf(call, row.record.resourceType, row.record.resource),
        Tags: own.map(({ record }) => ({ Key: record.key, Value: record.value })),
      })
      return false
    },
  })
  return { ResourceTagMappingList: found, PaginationToken: writeToken(next, ...query) }
}

const facetOf = ({ key, values }: TagFilter): FacetMatch =>
  values.length === 0 ? { name: "key", values: [key] } : { name: `tag:${key}`, values }

function hasTag({ key, values }: TagFilter, rows: readonly TagRow[]): boolean {
  return rows.some(({ record }) => record.key === key && (values.length === 0 || values.includes(record.value)))
}

function readFilters({ TagFilters = [], IncludeComplianceDetails, ExcludeCompliantResources }: Asked) {
  if (IncludeComplianceDetails === true || ExcludeCompliantResources === true)
    throw raise("UnsupportedOperation", { operation: "GetResources with compliance" })
  if (TagFilters.length > 50) throw invalid("TagFilters must hold at most 50 filters")
  return TagFilters.map(({ Key, Values = [] }): TagFilter => {
    if (Key === undefined || Key === "" || Key.length > 128)
      throw invalid("A tag filter's Key must have 1 to 128 characters")
    if (Values.length > 20) throw invalid("A tag filter must hold at most 20 values")
    return { key: Key, values: Values }
  })
}

/** Types of EC2's resources, undefined for all. Those of services without tags here find nothing. */
function readTypes(filters: readonly string[]): readonly string[] | undefined {
  if (filters.length > 100) throw invalid("ResourceTypeFilters must hold at most 100 types")
  const wanted = filters.map((filter) => {
    const [, service, type] = /^([a-z0-9-]+)(?::([a-zA-Z0-9/_-]+))?$/.exec(filter) ?? []
    if (service === undefined) throw invalid(`The resource type ${filter.slice(0, 256)} is not valid`)
    return { service, type }
  })
  const ofEc2 = wanted.filter(({ service }) => service === "ec2")
  if (filters.length === 0 || ofEc2.some(({ type }) => type === undefined)) return undefined
  return ofEc2.flatMap(({ type }) => type ?? [])
}

function readSizes({ ResourcesPerPage, TagsPerPage }: Asked) {
  if (
    ResourcesPerPage !== undefined &&
    (!Number.isInteger(ResourcesPerPage) || ResourcesPerPage < 1 || ResourcesPerPage > 100)
  )
    throw invalid("ResourcesPerPage must be between 1 and 100")
  if (TagsPerPage !== undefined && (!Number.isInteger(TagsPerPage) || TagsPerPage < 100 || TagsPerPage > 500))
    throw invalid("TagsPerPage must be between 100 and 500")
  return { resources: ResourcesPerPage ?? 50, tags: TagsPerPage ?? Infinity }
}

function readIds({ ResourceARNList, ...others }: Asked, call: Call): readonly string[] | undefined {
  if (ResourceARNList === undefined || ResourceARNList.length === 0) return undefined
  if (ResourceARNList.length > 100) throw invalid("ResourceARNList must hold at most 100 ARNs")
  const besides = Object.entries(others).find(([, value]) => value !== undefined && value !== "")
  if (besides) throw invalid(`ResourceARNList cannot be used with ${besides[0]}`)
  return ResourceARNList.map((arn) => idOf(call, arn, invalid))
}
