/**
 * One check for each operation that is done. The compiler asks for every name in the tables of handlers, the test runs every check and
 * looks whether the operation was served, and docs/reference/generate.ts takes the names: an operation counts as done only here.
 */
import type { Ec2Operation, StsOperation, TestCloud } from "./cloud.ts"
import { credits } from "./credits.ts"
import { ebsEncryption } from "./ebs-encryption.ts"
import { eventWindows } from "./event-windows.ts"
import { fixedLists } from "./fixed-lists.ts"
import { instanceAttributes } from "./instance-attributes.ts"
import { instanceSettings } from "./instance-settings.ts"
import { instances } from "./instances.ts"
import { keyPairs } from "./key-pairs.ts"
import { resources } from "./resources.ts"
import { groups } from "./security-groups.ts"
import { rules } from "./security-group-rules.ts"
import { tags } from "./tags.ts"

export type Check = (cloud: TestCloud) => Promise<void>
export type Checks = { readonly [O in Ec2Operation]?: Check }

export const ec2Checks: Readonly<Record<Ec2Operation, Check>> = {
  ...credits,
  ...ebsEncryption,
  ...eventWindows,
  ...fixedLists,
  ...groups,
  ...instanceAttributes,
  ...instanceSettings,
  ...instances,
  ...keyPairs,
  ...resources,
  ...rules,
  ...tags,
}

export const stsChecks: Readonly<Record<StsOperation, Check>> = {
  async GetCallerIdentity({ sts, daemon }) {
    const { Account, Arn, UserId } = await sts("GetCallerIdentity", {})
    const { account } = daemon.credentials
    if (Account !== account || Arn !== `arn:aws:iam::${account}:root` || UserId !== account)
      throw new Error(`it says ${Account} ${Arn} ${UserId}`)
  },
}
