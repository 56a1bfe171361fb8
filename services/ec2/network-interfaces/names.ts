/** DNS names of addresses, as EC2 forms them ("DNS attributes for your VPC"). */

/** What a VPC says of the names of its instances, where that is not what a default VPC says. Each of its interfaces has it. */
export interface VpcNames {
  /** Public addresses have no names. */
  readonly publicNames?: false
  /** Domain that its DHCP options give, which guests are called by. */
  readonly domain?: string
}

/** How a guest is called, and what is answered for its id ("Amazon EC2 instance hostname types"). Absent: by its address, and nothing. */
export interface PrivateDnsName {
  readonly hostnameType: "ip-name" | "resource-name"
  /** The resolver has an A record for "i-0123456789abcdef0". */
  readonly aRecord: boolean
}

export const usualDnsName: PrivateDnsName = { hostnameType: "ip-name", aRecord: false }

/** In the form of answers. There is no IPv6. */
export function toPrivateDnsNameOptions({ hostnameType, aRecord }: PrivateDnsName = usualDnsName) {
  return {
    HostnameType: hostnameType,
    EnableResourceNameDnsARecord: aRecord,
    EnableResourceNameDnsAAAARecord: false,
  }
}

export function privateDomain(region: string): string {
  return region === "us-east-1" ? "ec2.internal" : `${region}.compute.internal`
}
export function hostName(address: string): string {
  return `ip-${address.replaceAll(".", "-")}`
}
export function privateDnsName(address: string, region: string): string {
  return `${hostName(address)}.${privateDomain(region)}`
}
/** What an instance is called: the label before its domain. */
export function hostLabel(instance: string, address: string, name: PrivateDnsName | undefined): string {
  return name?.hostnameType === "resource-name" ? instance : hostName(address)
}
/** The public name of an address that is held in a VPC, or undefined where that gives none. */
export function publicNameOf(address: string | undefined, names: VpcNames | undefined, region: string) {
  return address === undefined || names?.publicNames === false ? undefined : publicDnsName(address, region)
}
export function publicDnsName(address: string, region: string): string {
  const domain = region === "us-east-1" ? "compute-1" : `${region}.compute`
  return `ec2-${address.replaceAll(".", "-")}.${domain}.amazonaws.com`
}
