/** Frames that root in a guest sends from its card, and whether its neighbour hears them. */
import assert from "node:assert/strict"
import { arp, broadcastMac, dhcp, frame, ipv4, ipv6, type Packet, udp, vlan } from "#engine/network/linux/frames.ts"
import type { Attack, Scene } from "./attacks-scene.ts"

/** From the attacker's card to the router's, unless said otherwise. */
export const hexOf = ({ me, router }: Scene, payload: Buffer, type = 0x0800, from = me.mac, to = router) =>
  frame(to, from, type, payload).toString("hex")
export const packetOf = ({ me, victim }: Scene, more: Partial<Packet> = {}) =>
  ipv4({
    from: me.privateAddress,
    to: victim.privateAddress,
    protocol: 17,
    payload: udp(5555, 5555, "fractus-attack"),
    ...more,
  })

let mark = 0
/** Sent frames of an attack that the victim heard, told apart from its own traffic by what they carry. */
async function heard(scene: Scene, frames: readonly string[], carries = ["fractus-attack"]): Promise<number> {
  const { ears, send } = scene
  const from = ears.heard.length
  const sign = `fractus-mark-${mark++}-end`
  await send(
    ...frames.map((line) => `1 ${line}`),
    `1 ${hexOf(scene, packetOf(scene, { payload: udp(5556, 5556, sign) }))}`,
  )
  await ears.until(Buffer.from(sign).toString("hex"))
  const evil = carries.map((text) => Buffer.from(text, "latin1").toString("hex"))
  return ears.heard.slice(from).filter((line) => evil.some((text) => line.includes(text))).length
}

const unheard =
  (frames: (scene: Scene) => readonly string[], carries?: (scene: Scene) => string[]) =>
  async (scene: Scene): Promise<string> => {
    assert.equal(await heard(scene, frames(scene), carries?.(scene)), 0)
    return `${frames(scene).length} frames, none heard`
  }
const card = (mac: string) => Buffer.from(mac.replaceAll(":", ""), "hex").toString("latin1")

/** Frames that do not get to the neighbour. In the default group members may send each other everything. */
export const frames: readonly Attack[] = [
  [
    "a packet as it should be (the ears work)",
    async (scene) => {
      assert.equal(await heard(scene, [hexOf(scene, packetOf(scene))]), 1)
      return "heard"
    },
  ],
  [
    "source address of others",
    unheard((scene) =>
      [scene.victim.privateAddress, "172.31.0.99", "169.254.169.254", "8.8.8.8", "127.0.0.1"].map((from) =>
        hexOf(scene, packetOf(scene, { from })),
      ),
    ),
  ],
  [
    "card of others",
    unheard((scene) =>
      [scene.victim.mac, "02:00:00:00:00:99"].map((from) => hexOf(scene, packetOf(scene), 0x0800, from)),
    ),
  ],
  [
    "frames past the router",
    unheard((scene) =>
      [scene.victim.mac, broadcastMac].map((to) => hexOf(scene, packetOf(scene), 0x0800, scene.me.mac, to)),
    ),
  ],
  [
    "ARP: I am the gateway, I am you",
    unheard(
      (scene) =>
        ["172.31.0.1", scene.victim.privateAddress].flatMap((address) =>
          [broadcastMac, scene.victim.mac].map((to) =>
            hexOf(scene, arp("reply", { mac: scene.me.mac, address }, address), 0x0806, scene.me.mac, to),
          ),
        ),
      (scene) => [card(scene.me.mac)],
    ),
  ],
  [
    "DHCP server for the neighbour",
    unheard((scene) =>
      [scene.victim.privateAddress, "255.255.255.255"].map((to) =>
        hexOf(
          scene,
          packetOf(scene, {
            to,
            payload: udp(
              67,
              68,
              Buffer.concat([
                dhcp({ reply: true, type: 5, hardware: scene.victim.mac, yours: "172.31.0.66" }),
                Buffer.from("fractus-attack"),
              ]),
            ),
          }),
        ),
      ),
    ),
  ],
  [
    "IPv6: router and neighbour advertisements",
    unheard((scene) =>
      [134, 136].map((type) =>
        hexOf(
          scene,
          ipv6(
            `fe80${"1".padStart(28, "0")}`,
            `ff02${"1".padStart(28, "0")}`,
            58,
            Buffer.concat([Buffer.from([type, 0, 0, 0]), Buffer.from("fractus-attack")]),
          ),
          0x86dd,
          scene.me.mac,
          "33:33:00:00:00:01",
        ),
      ),
    ),
  ],
  [
    "VLAN tags, LLDP, PPPoE, EAPOL, MPLS",
    unheard((scene) => [
      hexOf(scene, vlan(7, 0x0800, packetOf(scene)), 0x8100),
      ...[0x88cc, 0x8863, 0x888e, 0x8847].map((type) =>
        hexOf(scene, packetOf(scene), type, scene.me.mac, broadcastMac),
      ),
    ]),
  ],
  [
    "multicast and broadcast",
    unheard((scene) =>
      ["224.0.0.1", "239.1.2.3", "255.255.255.255", "172.31.15.255"].map((to) =>
        hexOf(scene, packetOf(scene, { to }), 0x0800, scene.me.mac, broadcastMac),
      ),
    ),
  ],
  [
    "fragments of nothing, source routes",
    unheard((scene) => [
      hexOf(scene, packetOf(scene, { fragment: 100 })),
      hexOf(
        scene,
        packetOf(scene, {
          to: "172.31.0.1",
          options: Buffer.from([0x83, 7, 4, ...scene.victim.privateAddress.split(".").map(Number), 0]),
        }),
      ),
    ]),
  ],
]
