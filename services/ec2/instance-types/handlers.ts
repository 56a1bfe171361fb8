/** DescribeInstanceTypes, DescribeInstanceTypeOfferings and GetInstanceTypesFromInstanceRequirements. Every type is offered in every zone of every region. */
import type { LocationType } from "@aws-sdk/client-ec2"
import { type Filter, filterList, pageOf } from "#cloud/resources/describe.ts"
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import { nextToken } from "../filters.ts"
import type { Handler, Handlers } from "../handler.ts"
import { zonesOf } from "../regions/data.ts"
import { instanceTypeNames, isInstanceType, readInstanceTypes } from "./data.ts"
import { filterNames, filterValues } from "./filters.ts"
import { getInstanceTypesFromInstanceRequirements } from "./requirements.ts"

/** Rows of one answer, and names in one request. */
const maxTypes = 100

/** DescribeInstanceTypes. 100 types a page; with InstanceTypes all of them at once and no paging. InvalidInstanceType. */
const describeInstanceTypes: Handler<"DescribeInstanceTypes"> = async (input) => {
  const given = [...new Set<string>(input.InstanceTypes)]
  if (given.length > 0) {
    if (input.MaxResults !== undefined)
      throw raise("InvalidParameterCombination", {
        detail: "The parameter InstanceTypes cannot be used with the parameter MaxResults",
      })
    refuseUnknown(given)
  }
  const byName = filterList(
    given.length > 0 ? given : instanceTypeNames(),
    onlyName(input.Filters),
    ["instance-type"],
    (name) => [name],
  )
  const others = input.Filters?.filter((filter) => filter.Name !== "instance-type")
  // Only a filter on facts needs the facts of all: else the page alone is read.
  const names =
    others === undefined || others.length === 0
      ? byName
      : filterList(readInstanceTypes(byName), others, filterNames, filterValues).map((type) => type.InstanceType ?? "")
  const page = pageOf(
    names,
    { maxResults: input.MaxResults ?? maxTypes, nextToken: input.NextToken, bounds: [5, maxTypes] },
    "instance-types",
    input.Filters,
  )
  return { InstanceTypes: [...readInstanceTypes(page.items)], ...nextToken(page) }
}

const onlyName = (filters: readonly Filter[] | undefined) =>
  filters?.filter((filter) => filter.Name === "instance-type")

function refuseUnknown(given: readonly string[]): void {
  if (given.length > maxTypes)
    throw raise("InvalidParameterValue", {
      detail: `The number of instance types specified exceeds the maximum of ${maxTypes}`,
    })
  const unknown = given.filter((name) => !isInstanceType(name))
  if (unknown.length > 0) throw raise("InvalidInstanceType", { names: unknown.join(", ") })
}

/** DescribeInstanceTypeOfferings: one row for each type and location. LocationType "region" when none is given. */
const describeInstanceTypeOfferings: Handler<"DescribeInstanceTypeOfferings"> = async (input, call) => {
  const kind: LocationType = input.LocationType ?? "region"
  const locations = locationsOf(kind, call.region)
  const only = (name: string) => input.Filters?.filter((filter) => filter.Name === name)
  filterList([], input.Filters, ["instance-type", "location"], () => [])
  const types = filterList(instanceTypeNames(), only("instance-type"), ["instance-type"], (type) => [type])
  const places = filterList(locations, only("location"), ["location"], (location) => [location])
  const rows = types.flatMap((type) => places.map((location) => [type, location] as const))
  const page = pageOf(
    rows,
    { maxResults: input.MaxResults, nextToken: input.NextToken },
    call.region,
    kind,
    input.Filters,
  )
  return {
    InstanceTypeOfferings: page.items.map(([type, Location]) => ({
      InstanceType: type,
      LocationType: kind,
      Location,
    })),
    ...nextToken(page),
  }
}

function locationsOf(kind: LocationType, region: string): readonly string[] {
  switch (kind) {
    case "region":
      return [region]
    case "availability-zone":
      return zonesOf(region).map((zone) => zone.name)
    case "availability-zone-id":
      return zonesOf(region).map((zone) => zone.id)
    case "outpost":
      return []
    default:
      throw raise("InvalidParameterValue", {
        detail: `Value (${String(kind)}) for parameter LocationType is invalid. Invalid location type`,
      })
  }
}

export const handlers = {
  DescribeInstanceTypes: pure(describeInstanceTypes),
  DescribeInstanceTypeOfferings: pure(describeInstanceTypeOfferings),
  GetInstanceTypesFromInstanceRequirements: pure(getInstanceTypesFromInstanceRequirements),
} satisfies Handlers
