/**
 * Which numbers in requests are no 32-bit integers: the SDK's schemas say only "number". Taken once from botocore's EC2
 * model of 2016-11-15; members that only the SDK knows are 32-bit, as counts, ports and seconds are on AWS.
 */

/** By "Structure.Member"; the elements of a list are named as the list. */
const doubles: ReadonlySet<string> = new Set([
  "ClientData.UploadSize",
  "FleetLaunchTemplateOverridesRequest.Priority",
  "FleetLaunchTemplateOverridesRequest.WeightedCapacity",
  "GetCapacityManagerSupportabilityScoresRequest.CapacityAmount",
  "LaunchTemplateOverrides.Priority",
  "LaunchTemplateOverrides.WeightedCapacity",
  "MemoryGiBPerVCpu.Max",
  "MemoryGiBPerVCpu.Min",
  "MemoryGiBPerVCpuRequest.Max",
  "MemoryGiBPerVCpuRequest.Min",
  "NetworkBandwidthGbps.Max",
  "NetworkBandwidthGbps.Min",
  "NetworkBandwidthGbpsRequest.Max",
  "NetworkBandwidthGbpsRequest.Min",
  "PriceScheduleSpecification.Price",
  "ReservationFleetInstanceSpecification.Weight",
  "ReservedInstanceLimitPrice.Amount",
  "SpotFleetLaunchSpecification.WeightedCapacity",
  "SpotFleetRequestConfigData.FulfilledCapacity",
  "SpotFleetRequestConfigData.OnDemandFulfilledCapacity",
  "TotalLocalStorageGB.Max",
  "TotalLocalStorageGB.Min",
  "TotalLocalStorageGBRequest.Max",
  "TotalLocalStorageGBRequest.Min",
])

const longs: ReadonlySet<string> = new Set([
  "CopyImageRequest.SnapshotCopyCompletionDurationMinutes",
  "CreateCapacityReservationRequest.CommitmentDuration",
  "CreateCustomerGatewayRequest.BgpAsnExtended",
  "CreateIpamPrefixListResolverTargetRequest.DesiredVersion",
  "CreateLocalGatewayVirtualInterfaceGroupRequest.LocalBgpAsnExtended",
  "CreateLocalGatewayVirtualInterfaceRequest.PeerBgpAsnExtended",
  "CreateReplaceRootVolumeTaskRequest.VolumeInitializationRate",
  "CreateRouteServerRequest.AmazonSideAsn",
  "CreateRouteServerRequest.PersistRoutesDuration",
  "CreateVpnGatewayRequest.AmazonSideAsn",
  "DescribeReservedInstancesOfferingsRequest.MaxDuration",
  "DescribeReservedInstancesOfferingsRequest.MinDuration",
  "DiskImageDetail.Bytes",
  "GetIpamPrefixListResolverVersionEntriesRequest.IpamPrefixListResolverVersion",
  "GetIpamPrefixListResolverVersionsRequest.IpamPrefixListResolverVersions",
  "GetManagedPrefixListEntriesRequest.TargetVersion",
  "ModifyIpamPrefixListResolverTargetRequest.DesiredVersion",
  "ModifyManagedPrefixListRequest.CurrentVersion",
  "ModifyRouteServerRequest.PersistRoutesDuration",
  "ModifyTransitGatewayOptions.AmazonSideAsn",
  "PriceScheduleSpecification.Term",
  "RestoreManagedPrefixListVersionRequest.CurrentVersion",
  "RestoreManagedPrefixListVersionRequest.PreviousVersion",
  "RouteServerBgpOptionsRequest.PeerAsn",
  "TransitGatewayConnectRequestBgpOptions.PeerAsn",
  "TransitGatewayRequestOptions.AmazonSideAsn",
  "VolumeDetail.Size",
])

export type NumberType = "Integer" | "Long" | "Double"

/** The type of a member, "Integer" (32 bits) when nothing else is known. */
export function numberType(structure: string, member: string): NumberType {
  const key = `${structure}.${member}`
  if (doubles.has(key)) return "Double"
  return longs.has(key) ? "Long" : "Integer"
}
