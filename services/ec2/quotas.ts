/** The quotas that are enforced, by the codes that Service Quotas gives them on AWS. What is not enforced is not listed. */
import type { Call } from "#cloud/call.ts"
import { elasticIpsPerRegion } from "./addresses/quotas.ts"
import { readSettings } from "./account/settings.ts"
import { interfacesPerRegion } from "./network-interfaces/quotas.ts"
import { groupsPerInterface, groupsPerRegion, rulesPerGroup } from "./security-groups/quotas.ts"

export interface Quota {
  readonly service: "ec2" | "vpc"
  readonly code: string
  readonly name: string
  /** What an account has that was given nothing else; undefined for any number, which is no quota. */
  readonly usual: number | undefined
  /** What the caller's account has in its region. */
  readonly value: number | undefined
  readonly adjustable: boolean
}

/** vCPUs that run: the group of types, as "Amazon EC2 instance type quotas" puts families together, and its code. */
const vcpuQuotas: Readonly<Record<string, readonly [code: string, types: string]>> = {
  standard: ["L-1216C47A", "Standard (A, C, D, H, I, M, R, T, Z)"],
  dl: ["L-6E869C2A", "DL"],
  f: ["L-74FC7D96", "F"],
  g: ["L-DB2E81BA", "G and VT"],
  hpc: ["L-F7808C92", "HPC"],
  inf: ["L-1945791B", "Inf"],
  p: ["L-417A185B", "P"],
  trn: ["L-2C3B7624", "Trn"],
  u: ["L-43DA4232", "High Memory"],
  x: ["L-7295265B", "X"],
}

/** Which group a type counts against. */
export function quotaOf(type: string): string {
  const letters = /^[a-z]+/.exec(type)?.[0] ?? type
  if (/^(inf|trn|dl|hpc|mac|vt|u)/.test(letters)) return letters === "vt" ? "g" : letters
  const first = letters.charAt(0)
  return "acdhimrtz".includes(first) ? "standard" : first
}

/** vCPUs that the caller may have running of a group of types in its region; undefined for any number. */
export async function vcpuLimitOf(call: Call, group: string): Promise<number | undefined> {
  const limit = call.cloud.settings.vcpuLimit
  const code = vcpuQuotas[group]?.[0]
  if (limit === undefined || code === undefined) return limit
  return (await readSettings(call)).quotas?.[code] ?? limit
}

/** All quotas of the caller's account in its region, sorted by name. */
export async function quotasOf(call: Call): Promise<readonly Quota[]> {
  const limit = call.cloud.settings.vcpuLimit
  const raised = (await readSettings(call)).quotas ?? {}
  const vcpus = Object.values(vcpuQuotas).map(([code, types]): Quota => {
    const name = `Running On-Demand ${types} instances`
    return { service: "ec2", code, name, usual: limit, value: raised[code] ?? limit, adjustable: true }
  })
  const fixed = (code: string, name: string, value: number): Quota => {
    return { service: "vpc", code, name, usual: value, value, adjustable: false }
  }
  const all = [
    ...vcpus,
    { ...fixed("L-0263D0A3", "EC2-VPC Elastic IPs", elasticIpsPerRegion), service: "ec2" as const },
    fixed("L-DF5E4CA3", "Network interfaces per Region", interfacesPerRegion),
    fixed("L-0EA8095F", "Inbound or outbound rules per security group", rulesPerGroup),
    fixed("L-2AFB9258", "Security groups per network interface", groupsPerInterface),
    fixed("L-E79EC296", "VPC security groups per Region", groupsPerRegion),
  ]
  return all.filter(({ value }) => value !== undefined).toSorted((a, b) => (a.name < b.name ? -1 : 1))
}
