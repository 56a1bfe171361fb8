/** Addresses of an interface: its own first, then further ones, and the public address that each may have. */
import type { NetworkInterfaceRecord, PublicAddress, SecondaryAddress } from "./record.ts"

/** All private addresses, the primary one ahead. */
export function addressesOf(record: NetworkInterfaceRecord): readonly SecondaryAddress[] {
  const { address, publicAddress, secondaryAddresses = [] } = record
  return [{ address, ...(publicAddress && { publicAddress }) }, ...secondaryAddresses]
}

/** The public addresses that it has, one for each private address at most. */
export function publicAddressesOf(record: NetworkInterfaceRecord): readonly PublicAddress[] {
  return addressesOf(record).flatMap(({ publicAddress }) => publicAddress ?? [])
}

/** The record with this public address, or none, at one of its private addresses. */
export function withPublicAddress(
  record: NetworkInterfaceRecord,
  at: string,
  held: PublicAddress | undefined,
): NetworkInterfaceRecord {
  if (at === record.address) {
    const { publicAddress: _, ...rest } = record
    return { ...rest, ...(held && { publicAddress: held }) }
  }
  const { secondaryAddresses = [] } = record
  return withSecondary(
    record,
    secondaryAddresses.map((each) =>
      each.address === at ? { address: at, ...(held && { publicAddress: held }) } : each,
    ),
  )
}

/** The record with these further addresses and no others. */
export function withSecondary(
  record: NetworkInterfaceRecord,
  secondaryAddresses: readonly SecondaryAddress[],
): NetworkInterfaceRecord {
  const { secondaryAddresses: _, ...rest } = record
  return { ...rest, ...(secondaryAddresses.length > 0 && { secondaryAddresses }) }
}
