/** Everything that can be tagged, by the prefix of its id. A new kind of resource is added to this list. */
import type { Call } from "#cloud/call.ts"
import type { Kind, Resource, Tag, Tagged } from "#cloud/resources/kind.ts"
import { addressKind } from "../addresses/record.ts"
import { capacityReservationKind } from "../capacity-reservations/record.ts"
import { cidrReservationKind } from "../cidr-reservations/record.ts"
import { dedicatedHostKind } from "../dedicated-hosts/record.ts"
import { dhcpOptionsKind } from "../dhcp-options/record.ts"
import { eventWindowKind } from "../event-windows/record.ts"
import { imageKind } from "../images/record.ts"
import { showTags } from "../instances/assignment.ts"
import { instanceKind } from "../instances/record.ts"
import { keyPairKind } from "../key-pairs/record.ts"
import { launchTemplateKind } from "../launch-templates/record.ts"
import { networkAclKind } from "../network-acls/record.ts"
import { networkInterfaceKind } from "../network-interfaces/record.ts"
import { placementGroupKind } from "../placement-groups/record.ts"
import { prefixListKind } from "../prefix-lists/record.ts"
import { replaceRootVolumeTaskKind } from "../root-volumes/record.ts"
import { securityGroupKind } from "../security-groups/record.ts"
import { snapshotKind } from "../snapshots/record.ts"
import { volumeKind } from "../volumes/record.ts"
import { internetGatewayKind, routeTableKind, subnetKind, vpcKind } from "../vpcs/record.ts"

export interface TaggableKind {
  readonly prefix: string
  /** Those of these ids that are there, or the kind's Malformed or NotFound. */
  requireMany(call: Call, ids: readonly string[]): Promise<readonly Resource[]>
  /** Puts the resource with other tags into the draft, and what follows from them. */
  retag(call: Call, resource: Resource, tags: readonly Tag[]): Promise<void>
}

type Follow<R extends Tagged> = (call: Call, changed: Resource<R>) => Promise<void>

function taggable<R extends Tagged>(kind: Kind<R>, follow: Follow<R> = async () => {}): TaggableKind {
  return {
    prefix: kind.prefix,
    requireMany: (call, ids) => call.requireMany(kind, ids),
    async retag(call, resource, tags) {
      // The caller got it from this kind's own requireMany.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      const own = resource as Resource<R>
      await follow(call, call.draft.update(kind, own, { ...own.record, tags }))
    },
  }
}

const kinds: ReadonlyMap<string, TaggableKind> = new Map(
  [
    taggable(addressKind),
    taggable(capacityReservationKind),
    taggable(cidrReservationKind),
    taggable(dedicatedHostKind),
    taggable(dhcpOptionsKind),
    taggable(eventWindowKind),
    taggable(imageKind),
    taggable(instanceKind, showTags),
    taggable(internetGatewayKind),
    taggable(keyPairKind),
    taggable(launchTemplateKind),
    taggable(networkAclKind),
    taggable(networkInterfaceKind),
    taggable(placementGroupKind),
    taggable(prefixListKind),
    taggable(replaceRootVolumeTaskKind),
    taggable(routeTableKind),
    taggable(securityGroupKind),
    taggable(snapshotKind),
    taggable(subnetKind),
    taggable(volumeKind),
    taggable(vpcKind),
  ].map((kind) => [kind.prefix, kind]),
)

/** The kind that an id with this prefix is of, or undefined. */
export function taggableKind(prefix: string): TaggableKind | undefined {
  return kinds.get(prefix)
}
