/**
 * How many calls and resources EC2 takes, as "Request throttling for the Amazon EC2 API" lists them: the size of each bucket and the tokens
 * that come back in a second. Every API has a bucket of its own, whose size is that of its class unless it is listed by name. There is no
 * class of console calls: nothing here is the EC2 console.
 */

export interface Limit {
  /** Tokens that a full bucket holds. */
  readonly size: number
  readonly perSecond: number
}

const limit = (size: number, perSecond: number): Limit => ({ size, perSecond })

const nonMutating = limit(100, 20)
const unfilteredNonMutating = limit(50, 10)
const mutating = limit(50, 5)
const resourceIntensive = limit(50, 5)

/** Take from a smaller bucket when they are asked for everything: without filters and without pages. */
const costlyUnfiltered = new Set([
  "DescribeInstances",
  "DescribeInstanceStatus",
  "DescribeNetworkInterfaces",
  "DescribeSecurityGroups",
  "DescribeSnapshots",
  "DescribeSpotInstanceRequests",
  "DescribeVolumes",
])

const intensive = new Set([
  "AcceptVpcPeeringConnection",
  "AuthorizeSecurityGroupIngress",
  "CancelSpotInstanceRequests",
  "CreateKeyPair",
  "CreateVpcPeeringConnection",
  "DeleteVpcPeeringConnection",
  "RejectVpcPeeringConnection",
  "RequestSpotInstances",
  "RevokeSecurityGroupIngress",
])

/** "Uncategorized actions": "SIZE PER-SECOND" -> the APIs that have it. */
const named: Readonly<Record<string, string>> = {
  "1 0.1": `AdvertiseByoipCidr DeprovisionByoipCidr DisableImageBlockPublicAccess DisableSnapshotBlockPublicAccess EnableImageBlockPublicAccess
    EnableSnapshotBlockPublicAccess ProvisionByoipCidr WithdrawByoipCidr`,
  "1 0.5": "AssociateCapacityReservationBillingOwner DescribeByoipCidrs DisassociateCapacityReservationBillingOwner",
  "1 1": `CancelDeclarativePoliciesReport CreateDefaultSubnet CreateDefaultVpc DescribeInstanceTopology DescribeMovingAddresses MoveAddressToVpc
    RestoreAddressToClassic StartDeclarativePoliciesReport`,
  "2 2": "ModifyInstanceMetadataDefaults",
  "4 0.3": "CreateVpcEndpoint DeleteVpcEndpoints ModifyVpcEndpoint",
  "5 1": `CreateCoipCidr CreateCoipPool CreateSubnetCidrReservation DeleteCoipCidr DeleteCoipPool
    DeleteSubnetCidrReservation`,
  "5 2": `AuthorizeClientVpnIngress CreateClientVpnRoute DeleteClientVpnRoute DescribeHostReservationOfferings DescribeHostReservations
    DisableFastLaunch EnableFastLaunch GetHostReservationPurchasePreview PurchaseHostReservation RevokeClientVpnIngress RunInstances
    StartInstances`,
  "5 5": `DeleteQueuedReservedInstances DescribeDeclarativePoliciesReports GetDeclarativePoliciesReportSummary
    PurchaseReservedInstancesOffering`,
  "10 0.15": `DescribeCapacityBlockExtensionOfferings DescribeCapacityBlockOfferings PurchaseCapacityBlock
    PurchaseCapacityBlockExtension`,
  "10 1": `AcceptVpcEndpointConnections AssignPrivateNatGatewayAddress AssociateEnclaveCertificateIamRole AssociateNatGatewayAddress
    CreateNatGateway CreateVpcEndpointServiceConfiguration DeleteNatGateway DeleteVpcEndpointServiceConfigurations
    DisassociateEnclaveCertificateIamRole DisassociateNatGatewayAddress GetAssociatedEnclaveCertificateIamRoles
    ModifyVpcEndpointServiceConfiguration RejectVpcEndpointConnections UnassignPrivateNatGatewayAddress`,
  "10 2": `AttachVerifiedAccessTrustProvider CreateVerifiedAccessGroup CreateVerifiedAccessInstance CreateVerifiedAccessTrustProvider
    DeleteVerifiedAccessGroup DeleteVerifiedAccessInstance DeleteVerifiedAccessTrustProvider
    DescribeVerifiedAccessInstanceLoggingConfigurations DetachVerifiedAccessTrustProvider ModifyVerifiedAccessGroup
    ModifyVerifiedAccessInstance ModifyVerifiedAccessInstanceLoggingConfiguration ModifyVerifiedAccessTrustProvider`,
  "10 10": `DescribeAggregateIdFormat DescribeIdFormat DescribeIdentityIdFormat DescribePrincipalIdFormat
    DescribeReservedInstancesOfferings`,
  "20 4": `CreateVerifiedAccessEndpoint DeleteVerifiedAccessEndpoint ModifyVerifiedAccessEndpoint ModifyVerifiedAccessEndpointPolicy
    ModifyVerifiedAccessGroupPolicy`,
  "20 5": "DescribeSecurityGroupReferences DescribeStaleSecurityGroups",
  "50 0.1": "CreateRestoreImageTask CreateStoreImageTask",
  "50 0.5": "DescribeStoreImageTasks",
  "50 3": "CreateSpotDatafeedSubscription DeleteSpotDatafeedSubscription DescribeSpotFleetRequests",
  "100 1": "CopyImage",
  "100 5": `AssignIpv6Addresses AssignPrivateIpAddresses AssociateIamInstanceProfile CreateLaunchTemplateVersion CreateNetworkInterface
    CreateSnapshot CreateSnapshots CreateVolume DeleteNetworkInterface DeleteSnapshot DeleteVolume DeregisterImage
    DescribeSpotFleetInstances DescribeSpotFleetRequestHistory DisassociateIamInstanceProfile ModifyImageAttribute
    ModifyInstanceMetadataOptions ModifyLaunchTemplate ModifyNetworkInterfaceAttribute ModifySnapshotAttribute TerminateInstances
    UnassignPrivateIpAddresses`,
  "100 10": "CreateTags DeleteTags",
  "100 13": "DescribeSpotDatafeedSubscription",
}

/** Every API that is listed by name. */
export const listedApis: readonly string[] = [
  ...costlyUnfiltered,
  ...intensive,
  ...Object.values(named).flatMap((names) => names.split(/\s+/)),
]

const byName: ReadonlyMap<string, Limit> = new Map(
  Object.entries(named).flatMap(([figures, names]) => {
    const [size = 0, perSecond = 0] = figures.split(" ").map(Number)
    return names.split(/\s+/).map((name) => [name, limit(size, perSecond)] as const)
  }),
)

/** Of the resources that an API's calls are about, beside that of its calls. */
const resourceLimits: Readonly<Record<string, Limit>> = {
  RunInstances: limit(1000, 2),
  StartInstances: limit(1000, 2),
  StopInstances: limit(1000, 20),
  TerminateInstances: limit(1000, 20),
}

/** The bucket that calls of an operation take from, and its limit. `isUnfiltered`: asked for without filters and pages. */
export function requestLimit(operation: string, isUnfiltered: boolean): readonly [bucket: string, limit: Limit] {
  if (isUnfiltered && costlyUnfiltered.has(operation)) return [`${operation} of all`, unfilteredNonMutating]
  const own = byName.get(operation)
  if (own !== undefined) return [operation, own]
  if (/^(?:Describe|Get|List|Search)/.test(operation)) return [operation, nonMutating]
  return [operation, intensive.has(operation) ? resourceIntensive : mutating]
}

export function resourceLimit(operation: string): Limit | undefined {
  return Object.hasOwn(resourceLimits, operation) ? resourceLimits[operation] : undefined
}
