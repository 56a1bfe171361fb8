/** Filters that are taken and have nothing to find, because nothing here has what they look for: operation -> reason -> patterns of names. */

const noOutpost = "there are no Outposts"
const noOperator = "no AWS service manages anything here"
const noIpv6 = "there is no IPv6 yet"
const noProduct = "nothing is sold here"
const noKernel = "guests boot by firmware, never with a kernel of an image's own"

const reasons: Readonly<Record<string, Readonly<Record<string, RegExp>>>> = {
  DescribeAvailabilityZones: {
    "no zone has anything to say": /^message$/,
    "there are no local and wavelength zones": /^parent-zone-/,
  },
  DescribeCapacityReservations: {
    [noOutpost]: /^outpost-arn$/,
    "reservations are in no placement group": /^placement-group-arn$/,
  },
  DescribeImages: {
    "no image is watermarked": /^image-watermark\./,
    "there is no free tier": /^free-tier-eligible$/,
    "no image limits its instance types": /^instance-type-specification\./,
    "there is no Systems Manager": /^public-ssm-parameter-name$/,
    "images are not scanned": /^scan-result\./,
    "images are backed by EBS": /^manifest-location$/,
    "no image failed": /^state-reason-/,
    "the image is Linux": /^platform$/,
    "networking goes by ENA": /^sriov-net-support$/,
    [noKernel]: /^(kernel|ramdisk)-id$/,
    [noProduct]: /^product-code/,
  },
  DescribeHosts: { "nothing is sold here": /^host-reservation-id$/ },
  DescribeInstanceEventWindows: { "windows are of no Dedicated Hosts": /^dedicated-host-id$/ },
  DescribeInstances: {
    "there are no resource groups": /^capacity-reservation-specification\..*-resource-group-arn$/,
    "there is no IAM yet": /^iam-instance-profile\./,
    "there are no Spot and scheduled instances": /^(instance-lifecycle|spot-instance-request-id)$/,
    "the instances are Linux": /^platform$/,
    "nobody launches on another's behalf": /(^|\.)requester-id$/,
    "there is no TPM": /^tpm-support$/,
    "bandwidth cannot be weighted": /^network-performance-options\./,
    "addresses are of the one pool": /\.(carrier-ip|customer-owned-ip)$/,
    [noIpv6]: /(^|\.)ipv6-|deny-all-igw-traffic$/,
    "no interface has prefixes": /\.ipv4-prefixes\./,
    [noKernel]: /^(kernel|ramdisk)-id$/,
    [noOperator]: /operator\.principal$/,
    [noOutpost]: /outpost-arn$/,
    [noProduct]: /^product-code/,
  },
  DescribeInstanceStatus: {
    "no events are scheduled": /^event\./,
    "there are no application status checks": /^application-status\./,
    [noOperator]: /^operator\./,
  },
  DescribeNetworkAcls: {
    "entries of default ACLs are of all protocols": /^entry\.(icmp|port-range)\./,
    [noIpv6]: /^entry\.ipv6-cidr$/,
  },
  DescribeNetworkInterfaces: {
    "nobody asks for interfaces on another's behalf": /^requester-id$/,
    [noIpv6]: /^ipv6-/,
    [noOperator]: /^operator\.principal$/,
  },
  DescribeRouteTables: {
    "no subnet and no gateway has a table of its own yet": /^association\.(subnet|gateway)-id$/,
    "routes lead to the VPC and its internet gateway":
      /^route\.(destination-(ipv6-cidr-block|prefix-list-id)|(egress-only-internet-gateway|instance|nat-gateway|transit-gateway|vpc-peering-connection)-id)$/,
  },
  DescribeSubnets: {
    [noOutpost]: /^(customer-owned-ipv4-pool|enable-lni-at-device-index|outpost-arn)$/,
    [noIpv6]: /^ipv6-cidr/,
  },
  DescribeSnapshots: {
    "no snapshot is AWS's": /^owner-alias$/,
    "copies take as long as they take": /^transfer-type$/,
  },
  DescribeVolumes: { [noOperator]: /^operator\.principal$/ },
  DescribeVolumeStatus: {
    "no volume waits for an action": /^action\./,
    "no volume of a simulated instance stalls": /^event\./,
  },
  DescribeVpcs: { [noIpv6]: /^ipv6-/ },
}

/** Why this filter of this operation finds nothing, or undefined. */
export function emptyHere(operation: string, filter: string): string | undefined {
  return Object.entries(reasons[operation] ?? {}).find(([, names]) => names.test(filter))?.[0]
}
