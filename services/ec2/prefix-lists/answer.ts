/** Prefix lists as answers show them. */
import type { ManagedPrefixList, PrefixListState } from "@aws-sdk/client-ec2"
import type { Resource } from "#cloud/resources/kind.ts"
import { listTags } from "../tags/answer.ts"
import type { PrefixListRecord } from "./record.ts"

/** `state`: what the call that changes it answers, instead of what the list has. */
export function toPrefixList(
  { id, account, region, record }: Resource<PrefixListRecord>,
  state: PrefixListState = record.state,
): ManagedPrefixList {
  return {
    PrefixListId: id,
    PrefixListArn: `arn:aws:ec2:${region}:${account}:prefix-list/${id}`,
    PrefixListName: record.name,
    AddressFamily: record.family,
    MaxEntries: record.maxEntries,
    Version: record.version,
    State: state,
    OwnerId: account,
    Tags: listTags(record.tags),
    ...(record.stateMessage === undefined ? {} : { StateMessage: record.stateMessage }),
  }
}
