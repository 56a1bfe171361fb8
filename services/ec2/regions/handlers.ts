/** DescribeRegions and DescribeAvailabilityZones: fixed lists, and what the account has enabled of them. */
import { filterList } from "#cloud/resources/describe.ts"
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import type { Handler, Handlers } from "../handler.ts"
import { endpointOf, findRegion, type Region, regions, type Zone, zonesOf } from "./data.ts"
import { optedIn } from "./opt-in.ts"

/** DescribeRegions: those that the account has, and with AllRegions or by name any. An unknown RegionNames is InvalidParameterValue. */
const describeRegions: Handler<"DescribeRegions"> = async (input, call) => {
  const names = input.RegionNames ?? []
  const unknown = names.filter((name) => findRegion(name) === undefined)
  if (unknown.length > 0)
    throw raise("InvalidParameterValue", { detail: `Invalid region names provided: ${unknown.join(", ")}` })
  const enabled = await optedIn(call.store, call.account)
  const shown = regions
    .map((region) => ({ ...region, optInStatus: optInStatusOf(region, enabled) }))
    .filter(({ name, optInStatus }) =>
      names.length > 0 ? names.includes(name) : input.AllRegions === true || optInStatus !== "not-opted-in",
    )
  const found = filterList(shown, input.Filters, Object.keys(regionFilters), (region, name) => [
    regionFilters[name]?.(region),
  ])
  return {
    Regions: found.map((region) => ({
      RegionName: region.name,
      Endpoint: endpointOf(region.name),
      OptInStatus: region.optInStatus,
      Geography: [{ Name: region.geography }],
    })),
  }
}

type ShownRegion = Region & { readonly optInStatus: string }
const regionFilters: Readonly<Record<string, (region: ShownRegion) => string>> = {
  endpoint: (region) => endpointOf(region.name),
  "opt-in-status": (region) => region.optInStatus,
  "region-name": (region) => region.name,
}

const optInStatusOf = ({ needsOptIn, name }: Region, enabled: ReadonlySet<string>) =>
  needsOptIn ? (enabled.has(name) ? "opted-in" : "not-opted-in") : "opt-in-not-required"

/** DescribeAvailabilityZones of the call's region. There are no local or wavelength zones, so AllAvailabilityZones adds nothing. */
const describeAvailabilityZones: Handler<"DescribeAvailabilityZones"> = async (input, call) => {
  const zones = zonesOf(call.region)
  const names = input.ZoneNames ?? []
  const ids = input.ZoneIds ?? []
  refuseUnknown("availability zone", names, (name) => zones.some((zone) => zone.name === name))
  refuseUnknown("availability zone-id", ids, (id) => zones.some((zone) => zone.id === id))
  const named = zones.filter(
    (zone) => (names.length === 0 || names.includes(zone.name)) && (ids.length === 0 || ids.includes(zone.id)),
  )
  const shown = named.map((zone) => showZone(zone, call.region))
  return {
    AvailabilityZones: [
      ...filterList(shown, input.Filters, Object.keys(zoneFilters), (zone, name) => [zoneFilters[name]?.(zone)]),
    ],
  }
}

function showZone(zone: Zone, region: string) {
  return {
    State: "available" as const,
    OptInStatus: "opt-in-not-required" as const,
    Messages: [],
    RegionName: region,
    ZoneName: zone.name,
    ZoneId: zone.id,
    GroupName: `${region}-zg-1`,
    GroupLongName: `${findRegion(region)?.longName ?? region} 1`,
    NetworkBorderGroup: region,
    ZoneType: "availability-zone",
    Geography: [{ Name: findRegion(region)?.geography }],
  }
}

type ShownZone = ReturnType<typeof showZone>
const zoneFilters: Readonly<Record<string, (zone: ShownZone) => string | undefined>> = {
  "group-long-name": (zone) => zone.GroupLongName,
  "group-name": (zone) => zone.GroupName,
  message: () => undefined,
  "opt-in-status": (zone) => zone.OptInStatus,
  "parent-zone-id": () => undefined,
  "parent-zone-name": () => undefined,
  "region-name": (zone) => zone.RegionName,
  state: (zone) => zone.State,
  "zone-id": (zone) => zone.ZoneId,
  "zone-name": (zone) => zone.ZoneName,
  "zone-type": (zone) => zone.ZoneType,
}

function refuseUnknown(what: string, given: readonly string[], known: (value: string) => boolean): void {
  const unknown = given.filter((value) => !known(value))
  if (unknown.length > 0) throw raise("InvalidParameterValue", { detail: `Invalid ${what}: [${unknown.join(", ")}]` })
}

export const handlers = {
  DescribeRegions: pure(describeRegions),
  DescribeAvailabilityZones: pure(describeAvailabilityZones),
} satisfies Handlers
