/** EC2: its operations, what happens ahead of each, and what becomes of observations. */
import type { Call, CallInfo, Cloud } from "#cloud/call.ts"
import { runCall } from "#cloud/call.ts"
import { createDispatcher, type Dispatcher } from "#cloud/service.ts"
import type { Observed } from "#host/protocol/types.ts"
import { handlers as account } from "./account/handlers.ts"
import { handlers as addresses } from "./addresses/handlers.ts"
import { handlers as capacityReservations } from "./capacity-reservations/handlers.ts"
import { handlers as cidrReservations } from "./cidr-reservations/handlers.ts"
import { handlers as credits } from "./credits/handlers.ts"
import { handlers as dedicatedHosts } from "./dedicated-hosts/handlers.ts"
import { handlers as dhcpOptions } from "./dhcp-options/handlers.ts"
import { handlers as ebsEncryption } from "./ebs-encryption/handlers.ts"
import { handlers as eventWindows } from "./event-windows/handlers.ts"
import { handlers as fastLaunch } from "./fast-launch/handlers.ts"
import { observeFastLaunch } from "./fast-launch/observe.ts"
import { fastLaunchKind } from "./fast-launch/record.ts"
import type { Handlers } from "./handler.ts"
import { handlers as images } from "./images/handlers.ts"
import { handlers as instanceTypes } from "./instance-types/handlers.ts"
import { handlers as instances } from "./instances/handlers.ts"
import { observeGuest, observeVolume } from "./instances/observe.ts"
import { roomInTurn } from "./instances/launch/in-turn.ts"
import { handlers as keyPairs } from "./key-pairs/handlers.ts"
import { handlers as launchTemplates } from "./launch-templates/handlers.ts"
import { handlers as metadataDefaults } from "./metadata-defaults/handlers.ts"
import { handlers as networkAcls } from "./network-acls/handlers.ts"
import { handlers as networkInterfaces } from "./network-interfaces/handlers.ts"
import { handlers as placementGroups } from "./placement-groups/handlers.ts"
import { handlers as prefixLists } from "./prefix-lists/handlers.ts"
import { handlers as regions } from "./regions/handlers.ts"
import { handlers as rootVolumes } from "./root-volumes/handlers.ts"
import { handlers as securityGroups } from "./security-groups/handlers.ts"
import { handlers as snapshots } from "./snapshots/handlers.ts"
import { observeSnapshot } from "./snapshots/observe.ts"
import { snapshotKind } from "./snapshots/record.ts"
import { handlers as tags } from "./tags/handlers.ts"
import { handlers as volumes } from "./volumes/handlers.ts"
import { throttled } from "./throttling/throttle.ts"
import { createDefaultVpcs } from "./vpcs/default.ts"
import { handlers as vpcs } from "./vpcs/handlers.ts"

/** Every operation that is done. Adding one touches its family's folder alone. */
export const handlers = {
  ...account,
  ...addresses,
  ...capacityReservations,
  ...cidrReservations,
  ...credits,
  ...dedicatedHosts,
  ...dhcpOptions,
  ...ebsEncryption,
  ...eventWindows,
  ...fastLaunch,
  ...images,
  ...instances,
  ...instanceTypes,
  ...keyPairs,
  ...launchTemplates,
  ...metadataDefaults,
  ...networkAcls,
  ...networkInterfaces,
  ...placementGroups,
  ...prefixLists,
  ...regions,
  ...rootVolumes,
  ...securityGroups,
  ...snapshots,
  ...tags,
  ...volumes,
  ...vpcs,
} satisfies Handlers

export interface Ec2 extends Dispatcher {
  /** Forget what was remembered of an emptied store. */
  forget(): void
}

export function createEc2(cloud: Cloud): Ec2 {
  const defaultVpcs = createDefaultVpcs()
  const dispatcher = roomInTurn(
    createDispatcher(cloud, handlers, (cloud, info) => defaultVpcs.ensure(cloud, info)),
    cloud,
  )
  const limited = cloud.settings.throttle === true ? throttled(dispatcher, cloud.clock) : dispatcher
  return { ...limited, forget: () => defaultVpcs.forget() }
}

/** What a host saw, carried into the records of its account and region. */
export async function observe(cloud: Cloud, { resource, status }: Observed): Promise<void> {
  if (status.kind === "network" || status.kind === "group") return
  const stored = (await cloud.store.getMany([resource])).get(resource)
  if (stored === undefined) return
  const info: CallInfo = {
    requestId: `observed-${resource}`,
    operation: "Observe",
    region: stored.region,
    caller: { account: stored.account, arn: `arn:aws:iam::${stored.account}:root`, userId: stored.account },
  }
  const carry = (call: Call) => {
    // A host that never heard of a resource cannot know its kind when it says that it is absent.
    if (stored.kind === fastLaunchKind.name) return observeFastLaunch(call, resource, status)
    if (stored.kind === snapshotKind.name) return observeSnapshot(call, resource, status)
    return status.kind === "guest" ? observeGuest(call, resource, status) : observeVolume(call, resource, status)
  }
  await runCall(cloud, info, false, carry)
}
