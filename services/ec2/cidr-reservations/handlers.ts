/**
 * Subnet CIDR reservations: addresses that are given to nobody by themselves, and to those that ask for them by name ("Subnet CIDR
 * reservations" of the VPC guide). Addresses that are held already stay where they are.
 */
import type { SubnetCidrReservation } from "@aws-sdk/client-ec2"
import type { Resource } from "#cloud/resources/kind.ts"
import { pure } from "#cloud/service.ts"
import { raise } from "../errors.ts"
import { asked, nextToken } from "../filters.ts"
import type { Handler, Handlers } from "../handler.ts"
import { toTags } from "../tags/answer.ts"
import { tagsFor } from "../tags/specifications.ts"
import { isAddress, type Network, parseNetwork, toAddress } from "../vpcs/addresses.ts"
import { subnetKind } from "../vpcs/record.ts"
import { type CidrReservationRecord, cidrReservationKind } from "./record.ts"

/** EC2 names no quota. */
const maxPerSubnet = 100
/** A prefix of IPv4 that an interface gets is a /28. */
const prefixBits = 28
const descriptionLength = 255

const invalid = (detail: string) => raise("InvalidParameterValue", { detail })

/** The subnet changes with it, so that a launch which has read it runs again, and two that overlap never meet. */
const createReservation: Handler<"CreateSubnetCidrReservation"> = async (input, call) => {
  const { Cidr: cidr, ReservationType: type, Description: description } = input
  if (cidr === undefined) throw raise("MissingParameter", { name: "Cidr" })
  if (type === undefined) throw raise("MissingParameter", { name: "ReservationType" })
  if (description !== undefined && description.length > descriptionLength)
    throw invalid(`The description is longer than ${descriptionLength} characters.`)
  const range = readRange(cidr)
  if (type === "prefix" && range.bits > prefixBits)
    throw invalid(`The CIDR ${cidr} is too small for a reservation of type prefix: at least a /${prefixBits}.`)
  const tags = tagsFor(input.TagSpecifications, "subnet-cidr-reservation")
  const subnet = await call.require(subnetKind, input.SubnetId, "SubnetId")
  call.authorize("ec2:CreateSubnetCidrReservation", subnet)
  const { cidr: whole, reserved = [] } = subnet.record
  const outer = parseNetwork(whole)
  if (range.base < outer.base || range.base + range.size > outer.base + outer.size)
    throw invalid(`The CIDR ${cidr} is not within the subnet's ${whole}.`)
  const other = reserved.find((each) => overlap(parseNetwork(each), range))
  if (other !== undefined) throw invalid(`The CIDR ${cidr} overlaps with the reservation of ${other}.`)
  if (reserved.length >= maxPerSubnet)
    throw raise("ResourceLimitExceeded", {
      detail: `The maximum number of reservations (${maxPerSubnet}) of the subnet has been reached.`,
    })
  const record = { subnet: subnet.id, cidr, type, tags, ...(description === undefined ? {} : { description }) }
  const made = call.draft.create(cidrReservationKind, record)
  call.draft.link(made.id, subnet.id, "owned")
  call.draft.update(subnetKind, subnet, { ...subnet.record, reserved: [...reserved, cidr] })
  await call.commit()
  return { SubnetCidrReservation: toReservation(made) }
}

function readRange(cidr: string): Network {
  const [address = "", bits = "", ...rest] = cidr.split("/")
  if (!isAddress(address) || !/^([0-9]|[12][0-9]|3[0-2])$/.test(bits) || rest.length > 0)
    throw invalid(`Value (${cidr}) for parameter cidr is invalid. This is not a valid CIDR block.`)
  const range = parseNetwork(cidr)
  if (toAddress(range.base) !== address)
    throw invalid(`Value (${cidr}) for parameter cidr is invalid. Its first address is ${toAddress(range.base)}.`)
  return range
}

const overlap = (a: Network, b: Network) => a.base < b.base + b.size && b.base < a.base + a.size

const getReservations: Handler<"GetSubnetCidrReservations"> = async (input, call) => {
  const subnet = await call.require(subnetKind, input.SubnetId, "SubnetId")
  const page = await call.describe({
    kind: cidrReservationKind,
    filterNames: ["reservationType", "subnet-id"],
    also: [{ name: "subnet-id", values: [subnet.id] }],
    ...asked(input),
  })
  return {
    SubnetIpv4CidrReservations: page.items.map(toReservation),
    SubnetIpv6CidrReservations: [],
    ...nextToken(page),
  }
}

const deleteReservation: Handler<"DeleteSubnetCidrReservation"> = async (input, call) => {
  const found = await call.require(cidrReservationKind, input.SubnetCidrReservationId, "SubnetCidrReservationId")
  call.authorize("ec2:DeleteSubnetCidrReservation", found)
  const subnet = await call.require(subnetKind, found.record.subnet)
  const { reserved = [], ...record } = subnet.record
  const left = reserved.filter((cidr) => cidr !== found.record.cidr)
  call.draft.update(subnetKind, subnet, { ...record, ...(left.length > 0 && { reserved: left }) })
  call.draft.remove(found)
  await call.commit()
  return { DeletedSubnetCidrReservation: toReservation(found) }
}

function toReservation({ id, account, record }: Resource<CidrReservationRecord>): SubnetCidrReservation {
  return {
    SubnetCidrReservationId: id,
    SubnetId: record.subnet,
    Cidr: record.cidr,
    ReservationType: record.type,
    OwnerId: account,
    Description: record.description ?? "",
    Tags: toTags(record.tags),
  }
}

export const handlers = {
  CreateSubnetCidrReservation: createReservation,
  DeleteSubnetCidrReservation: deleteReservation,
  GetSubnetCidrReservations: pure(getReservations),
} satisfies Handlers
