/** Floods from one guest's card, and what its neighbour still gets meanwhile. */
import assert from "node:assert/strict"
import { arp, broadcastMac, dhcp, syn, udp } from "#engine/network/linux/frames.ts"
import { hexOf, packetOf } from "./attacks-frames.ts"
import type { Attack, Scene } from "./attacks-scene.ts"
import { banner } from "./cloud.ts"

const rounds = 3

/** Asks three times on behalf of the neighbour while the flood goes on, from before the first question until the last answer. */
async function meanwhile(flood: () => Promise<unknown>, ask: () => Promise<unknown>): Promise<string> {
  const times: number[] = []
  const over = new AbortController()
  let batches = 0
  const asking = async () => {
    for (let round = 0; round < rounds; round++) {
      const startMs = performance.now()
      await ask()
      times.push(performance.now() - startMs)
    }
  }
  const flooding = async () => {
    for (; !over.signal.aborted; batches++) await flood()
  }
  await Promise.all([flooding(), asking().finally(() => over.abort())])
  const slowestMs = Math.round(Math.max(...times))
  return `${batches} batches; neighbour served ${rounds} of ${rounds}, slowest ${slowestMs} ms`
}

const token =
  "curl -s -m 15 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token"
const ownId = `curl -s -m 15 -H "X-aws-ec2-metadata-token: $(${token})" http://169.254.169.254/latest/meta-data/instance-id`
const lookUp = "nslookup -type=a ip-172-31-0-99.ec2.internal 169.254.169.253"

/** The neighbour's metadata and a name, in its own words. */
async function services({ theirs, victim }: Scene): Promise<void> {
  assert.ok((await theirs.run(ownId)).includes(victim.id))
  assert.match(await theirs.run(lookUp), /172\.31\.0\.99/)
}

async function newConnection({ victim }: Scene): Promise<void> {
  assert.match((await banner(victim.publicAddress, 20_000)) ?? "nothing", /^SSH-2\.0/)
}

const synTo = (scene: Scene, address: string, port: number) =>
  hexOf(scene, syn({ address: scene.me.privateAddress, port: 1024 }, { address, port }))

/** A query for ip-10-0-0-1.ec2.internal, A. */
const query = Buffer.concat([
  Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
  ...["ip-10-0-0-1", "ec2", "internal", ""].map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
  Buffer.from([0, 1, 0, 1]),
])

function dhcpFrame(scene: Scene, type: number, hardware: string): string {
  const payload = udp(68, 67, dhcp({ type, hardware, address: scene.victim.privateAddress }))
  const packet = packetOf(scene, { from: "0.0.0.0", to: "255.255.255.255", payload })
  return hexOf(scene, packet, 0x0800, scene.me.mac, broadcastMac)
}

async function lease({ theirs, victim }: Scene): Promise<void> {
  const said = await theirs.run("sudo busybox udhcpc -i eth0 -n -q -t 5 -T 2 -s /bin/true 2>&1")
  assert.ok(said.includes(`lease of ${victim.privateAddress} obtained`), said)
}

export const floods: readonly Attack[] = [
  [
    "connections to the neighbour, 2,000 a batch",
    (scene) => {
      const line = `2000 ${synTo(scene, scene.victim.privateAddress, 9)} 34 50`
      return meanwhile(
        () => scene.send(line),
        () => newConnection(scene),
      )
    },
  ],
  [
    "connections to metadata, 2,000 a batch",
    (scene) => {
      const line = `2000 ${synTo(scene, "169.254.169.254", 80)} 34 50`
      return meanwhile(
        () => scene.send(line),
        () => services(scene),
      )
    },
  ],
  [
    "requests to metadata, 200 a batch",
    (scene) => {
      const many = "curl -s -m 10 -Z --parallel-max 30 -o /dev/null 'http://169.254.169.254/latest/meta-data/?[1-200]'"
      return meanwhile(
        () => scene.mine.run(`${many} || true`),
        () => services(scene),
      )
    },
  ],
  [
    "names, 2,000 a batch",
    (scene) => {
      const packet = packetOf(scene, { to: "169.254.169.253", payload: udp(4000, 53, query) })
      const line = `2000 ${hexOf(scene, packet)} 34 0`
      return meanwhile(
        () => scene.send(line),
        () => services(scene),
      )
    },
  ],
  [
    "DHCP, 2,000 a batch, and the neighbour's address declined",
    (scene) => {
      const lines = [`2000 ${dhcpFrame(scene, 1, scene.me.mac)}`, `10 ${dhcpFrame(scene, 4, scene.victim.mac)}`]
      return meanwhile(
        () => scene.send(...lines),
        () => lease(scene),
      )
    },
  ],
  [
    "ARP in 2,000 names a batch",
    (scene) => {
      const request = arp("request", { mac: scene.me.mac, address: "172.31.4.0" }, "172.31.0.1")
      const line = `2000 ${hexOf(scene, request, 0x0806, scene.me.mac, broadcastMac)} 30 0`
      return meanwhile(
        () => scene.send(line),
        () => services(scene),
      )
    },
  ],
]
