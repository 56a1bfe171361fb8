/** For tests: frames as hex, byte by byte as somebody would who means harm. Checksums are right unless said otherwise. */
import { parseAddress } from "../addresses.ts"

const u8 = (...values: number[]) => Buffer.from(values)
const u16 = (value: number) => u8(value >> 8, value & 255)
const mac = (text: string) => Buffer.from(text.replaceAll(":", ""), "hex")
export const ip4 = (text: string) => {
  const address = parseAddress(text)
  return u8(address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255)
}

export const broadcastMac = "ff:ff:ff:ff:ff:ff"

function checksum(data: Buffer): number {
  let sum = 0
  for (let at = 0; at < data.length; at += 2) sum += data.readUInt8(at) * 256 + (data[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65536)
  return ~sum & 0xffff
}

/** An Ethernet frame, padded to the least that Ethernet knows. */
export function frame(to: string, from: string, type: number, payload: Buffer): Buffer {
  const bytes = Buffer.concat([mac(to), mac(from), u16(type), payload])
  return bytes.length >= 60 ? bytes : Buffer.concat([bytes, Buffer.alloc(60 - bytes.length)])
}

export const vlan = (id: number, type: number, payload: Buffer) => Buffer.concat([u16(id), u16(type), payload])

export function arp(kind: "request" | "reply", from: { mac: string; address: string }, of: string, to = broadcastMac) {
  const head = Buffer.concat([u16(1), u16(0x0800), u8(6, 4), u16(kind === "request" ? 1 : 2)])
  return Buffer.concat([head, mac(from.mac), ip4(from.address), mac(to), ip4(of)])
}

export interface Packet {
  readonly from: string
  readonly to: string
  readonly protocol: number
  readonly payload: Buffer
  readonly options?: Buffer
  /** Flags and offset of a fragment as the header has them: 0x2000 is "more follow". */
  readonly fragment?: number
  readonly id?: number
}

export function ipv4({ from, to, protocol, payload, options = Buffer.alloc(0), fragment = 0, id = 7 }: Packet): Buffer {
  const words = 5 + options.length / 4
  const header = Buffer.concat([
    u8(0x40 + words, 0),
    u16(words * 4 + payload.length),
    u16(id),
    u16(fragment),
    u8(64, protocol),
    u16(0),
    ip4(from),
    ip4(to),
    options,
  ])
  header.writeUInt16BE(checksum(header), 10)
  return Buffer.concat([header, payload])
}

/** Without a checksum, as UDP allows: so its ports can be changed in place. */
export const udp = (from: number, to: number, data: Buffer | string) =>
  Buffer.concat([u16(from), u16(to), u16(8 + Buffer.byteLength(data)), u16(0), Buffer.from(data)])

/** The first packet of a TCP connection, whole: the checksum is at byte 16 of the TCP header. */
export function syn(from: { address: string; port: number }, to: { address: string; port: number }): Buffer {
  const head = Buffer.concat([
    u16(from.port),
    u16(to.port),
    u8(0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2),
    u16(64240),
    u16(0),
    u16(0),
  ])
  const pseudo = Buffer.concat([ip4(from.address), ip4(to.address), u8(0, 6), u16(head.length)])
  head.writeUInt16BE(checksum(Buffer.concat([pseudo, head])), 16)
  return ipv4({ from: from.address, to: to.address, protocol: 6, payload: head })
}

export interface DhcpMessage {
  readonly reply?: boolean
  /** Message type: 1 discover, 2 offer, 4 decline, 5 ack, 7 release. */
  readonly type: number
  readonly hardware: string
  /** Requested address (option 50). */
  readonly address?: string
  readonly yours?: string
  readonly relay?: string
}

export function dhcp({
  reply = false,
  type,
  hardware,
  address,
  yours = "0.0.0.0",
  relay = "0.0.0.0",
}: DhcpMessage): Buffer {
  return Buffer.concat([
    u8(reply ? 2 : 1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78, 0, 0, 0x80, 0),
    ip4(type === 7 ? (address ?? "0.0.0.0") : "0.0.0.0"),
    ip4(yours),
    ip4("0.0.0.0"),
    ip4(relay),
    mac(hardware),
    Buffer.alloc(10 + 64 + 128),
    u8(0x63, 0x82, 0x53, 0x63, 53, 1, type),
    ...(address === undefined ? [] : [u8(50, 4), ip4(address)]),
    u8(54, 4),
    ip4("172.31.0.1"),
    u8(255),
    Buffer.alloc(60),
  ])
}

/** An IPv6 packet without extension headers. The addresses are 32 hex digits. */
export const ipv6 = (from: string, to: string, next: number, payload: Buffer) =>
  Buffer.concat([u8(0x60, 0, 0, 0), u16(payload.length), u8(next, 255), Buffer.from(from + to, "hex"), payload])
