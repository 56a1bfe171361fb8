/** DNS names of addresses, as EC2 forms them ("DNS attributes for your VPC"). */

export function privateDomain(region: string): string {
  return region === "us-east-1" ? "ec2.internal" : `${region}.compute.internal`
}
export function hostName(address: string): string {
  return `ip-${address.replaceAll(".", "-")}`
}
export function privateDnsName(address: string, region: string): string {
  return `${hostName(address)}.${privateDomain(region)}`
}
export function publicDnsName(address: string, region: string): string {
  const domain = region === "us-east-1" ? "compute-1" : `${region}.compute`
  return `ec2-${address.replaceAll(".", "-")}.${domain}.amazonaws.com`
}
