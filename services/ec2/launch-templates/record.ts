/** Launch templates and their versions as they are stored: one resource each, the versions owned by their template. */
import type { Call } from "#cloud/call.ts"
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"
import type { TemplateData } from "./data.ts"

export interface LaunchTemplateRecord extends Tagged {
  readonly name: string
  readonly createdMs: number
  /** ARN of whoever made it. */
  readonly createdBy: string
  readonly defaultVersion: number
  /** The greatest number that there is. */
  readonly latestVersion: number
  /** The greatest number that was ever given: none is given twice. */
  readonly lastNumber: number
}

export const launchTemplateKind = defineKind<LaunchTemplateRecord>({
  name: "launch-template",
  prefix: "lt",
  schema: 1,
  notFound: [
    "InvalidLaunchTemplateId.NotFound",
    "The specified launch template, with template ID {id}, does not exist.",
  ],
  malformed: ["InvalidLaunchTemplateId.Malformed", 'Invalid id: "{id}" (expecting "lt-...")'],
  facets: ({ record: { name, createdMs } }) => ({
    "create-time": new Date(createdMs).toISOString(),
    "launch-template-name": name,
  }),
})

export interface LaunchTemplateVersionRecord extends Tagged {
  readonly template: string
  /** Its template's: names are for good. */
  readonly name: string
  readonly number: number
  readonly description?: string
  readonly createdMs: number
  readonly createdBy: string
  /** Kept in step with the template's record, for filters. */
  readonly isDefault: boolean
  readonly isLatest: boolean
  readonly data: TemplateData
}

/** What the request calls those versions that go by no number. */
export const aliases = { latest: "$Latest", default: "$Default" } as const

/** Its id is never shown: callers name a template and a number. */
export const launchTemplateVersionKind = defineKind<LaunchTemplateVersionRecord>({
  name: "launch-template-version",
  prefix: "lt",
  schema: 1,
  notFound: launchTemplateKind.notFound,
  malformed: launchTemplateKind.malformed,
  facets: ({ record }) => {
    const { data, isDefault, isLatest } = record
    const metadata = data.MetadataOptions
    return {
      template: record.template,
      number: numberTerms(record.number),
      alias: [isLatest ? aliases.latest : undefined, isDefault ? aliases.default : undefined],
      "create-time": new Date(record.createdMs).toISOString(),
      "ebs-optimized": data.EbsOptimized,
      "http-endpoint": metadata?.HttpEndpoint,
      "http-protocol-ipv4": metadata?.HttpEndpoint,
      "http-tokens": metadata?.HttpTokens,
      "host-resource-group-arn": data.Placement?.HostResourceGroupArn,
      "iam-instance-profile": data.IamInstanceProfile?.Arn,
      "image-id": data.ImageId,
      "instance-type": data.InstanceType,
      "is-default-version": isDefault,
      "kernel-id": data.KernelId,
      "license-configuration-arn": data.LicenseSpecifications?.map((each) => each.LicenseConfigurationArn),
      "network-card-index": data.NetworkInterfaces?.map((each) => each.NetworkCardIndex?.toString()),
      "ram-disk-id": data.RamDiskId,
    }
  },
})

/** Numbers by hundreds and by ten thousands, so that a range of many is found by few terms. */
const blockSizes = [10_000, 100, 1] as const
const termOf = (size: number, block: number) => (size === 1 ? String(block) : `${block} of ${size}`)

/** What a version of this number is found by. */
function numberTerms(number: number): readonly string[] {
  return blockSizes.map((size) => termOf(size, Math.floor(number / size)))
}

/** Terms that together find all versions from `min` to `max`, both included: at most some 400, and one more for each 10,000. */
export function rangeTerms(min: number, max: number): readonly string[] {
  const terms: string[] = []
  for (let number = min; number <= max;) {
    const size = blockSizes.find((each) => number % each === 0 && number + each - 1 <= max) ?? 1
    terms.push(termOf(size, number / size))
    number += size
  }
  return terms
}

/** Id of a template's version in the store. */
export const versionId = (template: string, number: number) => `${template}:${number}`

/** Claims of names: one template of an account and region each. */
export const nameScope = (call: Call) => `launch-template-name:${call.account}:${call.region}`

/** Of a client token, as the operations of launch templates document it. */
export const maxTokenLength = 128
