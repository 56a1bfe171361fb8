/**
 * One check for each operation that is done. The compiler asks for every name in the tables of handlers, the test runs every check and
 * looks whether the operation was served, and docs/reference/generate.ts takes the names: an operation counts as done only here.
 */
import { handlers as accountHandlers } from "#services/account/service.ts"
import { handlers as ec2Handlers } from "#services/ec2/service.ts"
import { handlers as instanceConnectHandlers } from "#services/ec2-instance-connect/service.ts"
import { handlers as servicequotasHandlers } from "#services/servicequotas/service.ts"
import { handlers as ssmHandlers } from "#services/ssm/service.ts"
import { handlers as taggingHandlers } from "#services/tagging/service.ts"
import { handlersOf as cloudtrailHandlers } from "#services/cloudtrail/service.ts"
import { handlersOf as s3Handlers } from "#services/s3/service.ts"
import { handlers as stsHandlers } from "#services/sts/service.ts"
import type { Done, Ec2Operation, ServiceName, TestCloud } from "./cloud.ts"
import { addresses } from "./addresses.ts"
import { account } from "./account.ts"
import { capacityReservations } from "./capacity-reservations.ts"
import { credits } from "./credits.ts"
import { dedicatedHosts } from "./dedicated-hosts.ts"
import { dhcpOptions } from "./dhcp-options.ts"
import { ebsEncryption } from "./ebs-encryption.ts"
import { eventWindows } from "./event-windows.ts"
import { fastLaunch } from "./fast-launch.ts"
import { fixedLists } from "./fixed-lists.ts"
import { idFormats } from "./id-formats.ts"
import { allowedImages } from "./allowed-images.ts"
import { imageAttributes } from "./image-attributes.ts"
import { imageStates } from "./image-states.ts"
import { images } from "./images.ts"
import { interfaceAttributes } from "./interface-attributes.ts"
import { instanceAttributes } from "./instance-attributes.ts"
import { instanceSettings } from "./instance-settings.ts"
import { instanceConnect } from "./instance-connect.ts"
import { instances } from "./instances.ts"
import { keyPairs } from "./key-pairs.ts"
import { networkNames } from "./network-names.ts"
import { placementGroups } from "./placement-groups.ts"
import { privateAddresses } from "./private-addresses.ts"
import { launchTemplates } from "./launch-templates.ts"
import { prefixLists } from "./prefix-lists.ts"
import { resources } from "./resources.ts"
import { rootVolumes } from "./root-volumes.ts"
import { groups } from "./security-groups.ts"
import { rules } from "./security-group-rules.ts"
import { snapshots } from "./snapshots.ts"
import { serviceQuotas } from "./service-quotas.ts"
import { ssm } from "./ssm.ts"
import { tagging } from "./tagging.ts"
import { cloudtrail } from "./cloudtrail.ts"
import { s3Checks } from "./s3.ts"
import { vpcParts } from "./vpc-parts.ts"
import { tags } from "./tags.ts"

export type Check = (cloud: TestCloud) => Promise<void>
export type Checks = { readonly [O in Ec2Operation]?: Check }

const ec2Checks: Readonly<Record<Ec2Operation, Check>> = {
  ...addresses,
  ...allowedImages,
  ...capacityReservations,
  ...credits,
  ...dedicatedHosts,
  ...dhcpOptions,
  ...ebsEncryption,
  ...eventWindows,
  ...fastLaunch,
  ...fixedLists,
  ...groups,
  ...idFormats,
  ...imageAttributes,
  ...images,
  ...imageStates,
  ...instanceAttributes,
  ...instanceSettings,
  ...instances,
  ...interfaceAttributes,
  ...keyPairs,
  ...networkNames,
  ...placementGroups,
  ...launchTemplates,
  ...prefixLists,
  ...privateAddresses,
  ...resources,
  ...rootVolumes,
  ...rules,
  ...snapshots,
  ...vpcParts,
  ...tags,
}

const stsChecks: Readonly<Record<Done<"sts">, Check>> = {
  async GetCallerIdentity({ sts, daemon }) {
    const { Account, Arn, UserId } = await sts("GetCallerIdentity", {})
    const { account } = daemon.credentials
    if (Account !== account || Arn !== `arn:aws:iam::${account}:root` || UserId !== account)
      throw new Error(`it says ${Account} ${Arn} ${UserId}`)
  },
}

interface Service {
  readonly name: ServiceName
  readonly title: string
  readonly version: string
  readonly handlers: object
  readonly checks: Readonly<Record<string, Check>>
  /** How it says that it does not do an operation. */
  readonly refusal: string
}

const refusal = "UnsupportedOperation"

/** Every service, in the order of docs/reference/coverage.md. */
export const services: readonly Service[] = [
  { name: "ec2", title: "EC2", version: "2016-11-15", handlers: ec2Handlers, checks: ec2Checks, refusal },
  {
    name: "ec2-instance-connect",
    title: "EC2 Instance Connect",
    version: "2018-04-02",
    handlers: instanceConnectHandlers,
    checks: instanceConnect,
    refusal,
  },
  { name: "sts", title: "STS", version: "2011-06-15", handlers: stsHandlers, checks: stsChecks, refusal },
  { name: "ssm", title: "Systems Manager", version: "2014-11-06", handlers: ssmHandlers, checks: ssm, refusal },
  {
    name: "servicequotas",
    title: "Service Quotas",
    version: "2019-06-24",
    handlers: servicequotasHandlers,
    checks: serviceQuotas,
    refusal,
  },
  {
    name: "tagging",
    title: "Resource Groups Tagging",
    version: "2017-01-26",
    handlers: taggingHandlers,
    checks: tagging,
    refusal,
  },
  {
    name: "cloudtrail",
    title: "CloudTrail",
    version: "2013-11-01",
    handlers: cloudtrailHandlers({} as never),
    checks: cloudtrail,
    refusal,
  },
  {
    name: "account",
    title: "Account Management",
    version: "2021-02-01",
    handlers: accountHandlers,
    checks: account,
    refusal,
  },
  {
    name: "s3",
    title: "S3",
    version: "2006-03-01",
    handlers: s3Handlers({} as never),
    checks: s3Checks,
    refusal: "NotImplemented",
  },
]
