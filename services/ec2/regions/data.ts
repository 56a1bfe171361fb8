/**
 * The regions that a caller may name, with their zones. Names, ids and places follow "AWS Regions and Availability Zones"; which letter
 * stands for which zone id differs from account to account on AWS, here they go in order.
 */

export interface Region {
  readonly name: string
  readonly longName: string
  readonly geography: string
  /** Launched after March 20, 2019: an account has to enable it first (opt-in.ts). */
  readonly needsOptIn: boolean
  readonly zones: readonly Zone[]
}

export interface Zone {
  /** "us-east-1a" */
  readonly name: string
  /** "use1-az1" */
  readonly id: string
}

/** Host name of a region's EC2 endpoint, as DescribeRegions shows it. */
export const endpointOf = (region: string) => `ec2.${region}.amazonaws.com`

/** Zones are written as letter and number: "a1 c3". */
const rows: readonly (readonly [name: string, zoneId: string, zones: string, longName: string, geography: string])[] = [
  ["ap-south-1", "aps1", "a1 b2 c3", "Asia Pacific (Mumbai)", "India"],
  ["eu-north-1", "eun1", "a1 b2 c3", "Europe (Stockholm)", "Sweden"],
  ["eu-west-3", "euw3", "a1 b2 c3", "Europe (Paris)", "France"],
  ["eu-west-2", "euw2", "a1 b2 c3", "Europe (London)", "United Kingdom"],
  ["eu-west-1", "euw1", "a1 b2 c3", "Europe (Ireland)", "Ireland"],
  ["ap-northeast-3", "apne3", "a1 b2 c3", "Asia Pacific (Osaka)", "Japan"],
  ["ap-northeast-2", "apne2", "a1 b2 c3 d4", "Asia Pacific (Seoul)", "South Korea"],
  ["ap-northeast-1", "apne1", "a1 c2 d4", "Asia Pacific (Tokyo)", "Japan"],
  ["ca-central-1", "cac1", "a1 b2 d4", "Canada (Central)", "Canada"],
  ["sa-east-1", "sae1", "a1 b2 c3", "South America (Sao Paulo)", "Brazil"],
  ["ap-southeast-1", "apse1", "a1 b2 c3", "Asia Pacific (Singapore)", "Singapore"],
  ["ap-southeast-2", "apse2", "a1 b2 c3", "Asia Pacific (Sydney)", "Australia"],
  ["eu-central-1", "euc1", "a1 b2 c3", "Europe (Frankfurt)", "Germany"],
  ["us-east-1", "use1", "a1 b2 c3 d4 e5 f6", "US East (N. Virginia)", "United States of America"],
  ["us-east-2", "use2", "a1 b2 c3", "US East (Ohio)", "United States of America"],
  ["us-west-1", "usw1", "a1 c3", "US West (N. California)", "United States of America"],
  ["us-west-2", "usw2", "a1 b2 c3 d4", "US West (Oregon)", "United States of America"],
]

const optInRows: typeof rows = [
  ["af-south-1", "afs1", "a1 b2 c3", "Africa (Cape Town)", "South Africa"],
  ["ap-east-1", "ape1", "a1 b2 c3", "Asia Pacific (Hong Kong)", "Hong Kong"],
  ["ap-east-2", "ape2", "a1 b2 c3", "Asia Pacific (Taipei)", "Taiwan"],
  ["ap-south-2", "aps2", "a1 b2 c3", "Asia Pacific (Hyderabad)", "India"],
  ["ap-southeast-3", "apse3", "a1 b2 c3", "Asia Pacific (Jakarta)", "Indonesia"],
  ["ap-southeast-4", "apse4", "a1 b2 c3", "Asia Pacific (Melbourne)", "Australia"],
  ["ap-southeast-5", "apse5", "a1 b2 c3", "Asia Pacific (Malaysia)", "Malaysia"],
  ["ap-southeast-6", "apse6", "a1 b2 c3", "Asia Pacific (New Zealand)", "New Zealand"],
  ["ap-southeast-7", "apse7", "a1 b2 c3", "Asia Pacific (Thailand)", "Thailand"],
  ["ca-west-1", "caw1", "a1 b2 c3", "Canada West (Calgary)", "Canada"],
  ["eu-central-2", "euc2", "a1 b2 c3", "Europe (Zurich)", "Switzerland"],
  ["eu-south-1", "eus1", "a1 b2 c3", "Europe (Milan)", "Italy"],
  ["eu-south-2", "eus2", "a1 b2 c3", "Europe (Spain)", "Spain"],
  ["il-central-1", "ilc1", "a1 b2 c3", "Israel (Tel Aviv)", "Israel"],
  ["me-central-1", "mec1", "a1 b2 c3", "Middle East (UAE)", "United Arab Emirates"],
  ["me-south-1", "mes1", "a1 b2 c3", "Middle East (Bahrain)", "Bahrain"],
  ["mx-central-1", "mxc1", "a1 b2 c3", "Mexico (Central)", "Mexico"],
]

const toRegion =
  (needsOptIn: boolean) =>
  ([name, zoneId, zones, longName, geography]: (typeof rows)[number]): Region => ({
    name,
    longName,
    geography,
    needsOptIn,
    zones: zones.split(" ").map((zone) => ({ name: name + zone[0], id: `${zoneId}-az${zone.slice(1)}` })),
  })

/** All regions, in the order DescribeRegions gives them. */
export const regions: readonly Region[] = [...rows.map(toRegion(false)), ...optInRows.map(toRegion(true))]

const byName = new Map(regions.map((region) => [region.name, region]))

/** True for the name of a region that can be called. */
export function isRegion(name: string): boolean {
  return byName.has(name)
}

export function findRegion(name: string): Region | undefined {
  return byName.get(name)
}

/** The zones of a region, in the order of their letters; none for a name that is no region. */
export function zonesOf(region: string): readonly Zone[] {
  return byName.get(region)?.zones ?? []
}
