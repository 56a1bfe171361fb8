/**
 * Ports: a tap made in an empty namespace of the guest's own, where an unprivileged QEMU opens it, and moved into the
 * network afterwards. The open descriptor goes on working; the guest's process never stands in the network's namespace.
 */
import type { PortSpec, TapPlace } from "../types.ts"
import { linkNames } from "./infrastructure.ts"
import { insideMtu, type Names, routerMac } from "./names.ts"
import { addNamespace, deleteNamespace, ip, ipBatch, namespaces } from "./namespaces.ts"

/** "veth" is for tests: a namespace plays the guest, and the other end of the port is its eth0. */
export type PortKind = "tap" | "veth"

/** Make namespace and tap for user `uid`. Idempotent. */
export async function makeTap(port: PortSpec, uid: number, kind: PortKind, names: Names): Promise<void> {
  const [namespace, tap] = [names.guest(port.number), names.tap(port.number)]
  const add =
    kind === "tap"
      ? `tuntap add dev ${tap} mode tap user ${uid} group ${uid} vnet_hdr`
      : `link add eth0 address ${port.mac} mtu ${insideMtu} type veth peer name ${tap}`
  const lines = [add, `link set ${tap} address ${routerMac} mtu ${insideMtu}`, "link set lo up"]
  const state = await addNamespace(namespace, false, lines)
  if (state === "found" && !(await linkNames(namespace)).has(tap)) await ipBatch(namespace, lines)
}

/** Move the tap from the guest's namespace to the network's. Throws when it is in neither. */
export async function moveTap(portNumber: number, to: string, names: Names): Promise<void> {
  const tap = names.tap(portNumber)
  await ip(names.guest(portNumber), "link", "set", tap, "netns", to).catch(async (error: unknown) => {
    if (!(await linkNames(to)).has(tap)) throw error
  })
}

/** As `moveTap`, of a tap that has another name elsewhere. */
export async function takeTap(portNumber: number, from: TapPlace, to: string, names: Names): Promise<void> {
  const tap = names.tap(portNumber)
  const move = from.namespace === to ? ["link", "set", from.device, "name", tap] : moved(from, to, tap)
  await ip(from.namespace, ...move).catch(async (error: unknown) => {
    if (!(await linkNames(to)).has(tap)) throw error
  })
}

const moved = ({ device }: TapPlace, to: string, name: string) => [
  "link",
  "set",
  device,
  "down",
  "address",
  routerMac,
  "mtu",
  `${insideMtu}`,
  "netns",
  to,
  "name",
  name,
]

/** Put a tap that is no port's yet into the network's namespace `to`. */
export async function parkTap(from: TapPlace, to: string, name: string): Promise<TapPlace> {
  await ip(from.namespace, ...moved(from, to, name))
  return { device: name, namespace: to }
}

/** Remove a tap from where it is parked, if it is there. */
export async function dropTap({ device, namespace }: TapPlace): Promise<void> {
  if (!(await namespaces(namespace)).includes(namespace)) return
  await ip(namespace, "link", "del", device).catch(async (error: unknown) => {
    if ((await linkNames(namespace)).has(device)) throw error
  })
}

/** Remove tap and guest namespace, also while a process still holds them. `network` is where it may be plugged. */
export async function removeTap(portNumber: number, network: string | undefined, names: Names): Promise<void> {
  const tap = names.tap(portNumber)
  for (const namespace of [network, names.guest(portNumber)]) {
    if (namespace === undefined || !(await namespaces(namespace)).includes(namespace)) continue
    await ip(namespace, "link", "del", tap).catch(async (error: unknown) => {
      if ((await linkNames(namespace)).has(tap)) throw error
    })
  }
  await deleteNamespace(names.guest(portNumber))
}
