/** Burstable families and their credit options, as "Burstable performance instances" gives them. No other folder is imported here. */

export type CpuCredits = "standard" | "unlimited"

/** What each family has unless somebody says otherwise. */
const families: Readonly<Record<string, CpuCredits>> = {
  t2: "standard",
  t3: "unlimited",
  t3a: "unlimited",
  t4g: "unlimited",
  t8i: "unlimited",
}

export const familyNames: readonly string[] = Object.keys(families)

/** "t3" of "t3.micro". */
export const familyOf = (type: string) => type.split(".")[0] ?? type

export const isFamily = (name: string) => Object.hasOwn(families, name)
export const isBurstable = (type: string) => isFamily(familyOf(type))

/** The option that Fractus starts with. Undefined for a family that is not burstable. */
export const initialCredits = (family: string): CpuCredits | undefined =>
  isFamily(family) ? families[family] : undefined

/**
 * The option of an instance, undefined if it has none. One that was changed from a T type to another keeps its old option in its record,
 * and DescribeInstanceCreditSpecifications shows it.
 */
export function creditsOf(record: {
  readonly type: string
  readonly attributes: { readonly cpuCredits?: CpuCredits }
}): CpuCredits | undefined {
  return record.attributes.cpuCredits ?? initialCredits(familyOf(record.type))
}
