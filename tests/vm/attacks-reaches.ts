/** Connections that root in a guest tries to what is not a guest's. */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import { networkInterfaces } from "node:os"
import type { Attack, Scene } from "./attacks-scene.ts"

/** Which of these (`ADDRESS:PORT`) a TCP connection came about with, within 3 s. */
async function reached({ mine }: Scene, targets: readonly string[]): Promise<readonly string[]> {
  const urls = targets.map((target) => `-o /dev/null http://${target}/`).join(" ")
  // curl tells 0 for a connection that never was; its exit only tells of the last one.
  const said = await mine.run(`curl -s -Z -m 3 -w '%{url} %{time_connect}\\n' ${urls} || true`)
  // Silent as it is, it may still draw its meter.
  const lines = said.split("\n").filter((line) => line.startsWith("http://"))
  assert.equal(lines.length, targets.length, said)
  return lines.filter((line) => Number(line.split(" ")[1]) > 0)
}

const none = (targets: (scene: Scene) => readonly string[]) => async (scene: Scene) => {
  const all = targets(scene)
  assert.deepEqual(await reached(scene, all), [])
  return `${all.length} tried, no connection`
}

const addressesOf = (...words: string[]) =>
  [...execFileSync("ip", [...words, "-o", "-4", "address"], { encoding: "utf8" }).matchAll(/inet ([\d.]+)/g)].map(
    ([, address = ""]) => address,
  )

/** Something listens at all of the host's addresses while the guest tries them. */
async function tryHost(scene: Scene): Promise<string> {
  // Links of other homes come and go meanwhile, and an address that is no longer the host's is somebody's on the net.
  const lasting = Object.entries(networkInterfaces()).filter(
    ([name]) => name === `${scene.cloud.prefix}-host` || !name.startsWith("fr"),
  )
  const addresses = lasting.flatMap(([, all]) =>
    (all ?? []).filter(({ family, internal }) => family === "IPv4" && !internal).map(({ address }) => address),
  )
  let calls = 0
  const server = createServer((socket) => {
    calls++
    socket.on("error", () => {})
    socket.end("no guest should read this\n")
  }).listen(0, "0.0.0.0")
  try {
    await once(server, "listening")
    const bound = server.address()
    assert.ok(bound !== null && typeof bound !== "string")
    const own = connect(bound.port, addresses[0])
    await once(own, "connect")
    own.destroy()
    const targets = addresses.flatMap((address) => [bound.port, scene.cloud.port].map((port) => `${address}:${port}`))
    assert.deepEqual(await reached(scene, targets), [])
    assert.equal(calls, 1, "the host's own call, and no other")
    return `${targets.length} tried, no connection; one from the host came through`
  } finally {
    server.close()
  }
}

/** The service of the infrastructure at its own address is the only one. */
const infrastructure = ({ cloud }: Scene) =>
  addressesOf("-n", `${cloud.prefix}-infra`)
    .filter((address) => !address.startsWith("127."))
    .flatMap((address) => [80, 22, cloud.port].map((port) => `${address}:${port}`))
    .filter((target) => target !== "169.254.169.254:80")

const status = ({ mine }: Scene, words: string) => mine.run(`curl -s -m 15 -o /dev/null -w '%{http_code}' ${words}`)
const token = "-X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token"
const metadata = "http://169.254.169.254/latest/meta-data/"

async function foreignNames(scene: Scene): Promise<string> {
  const answers = [
    await status(scene, `-H 'Host: attacker.example' ${metadata}`),
    await status(scene, `-H 'X-Forwarded-For: 10.0.0.1' ${token}`),
    await status(scene, `-H 'X-aws-ec2-metadata-token: made-up' ${metadata}`),
    await status(scene, token),
  ]
  assert.deepEqual(answers, ["400", "403", "401", "200"])
  return "400, 403, 401; its own 200"
}

export const reaches: readonly Attack[] = [
  [
    "the neighbour's ssh, the stranger's by its public address (curl works)",
    async (scene) => {
      const open = [`${scene.victim.privateAddress}:22`, `${scene.stranger.publicAddress}:22`]
      assert.equal((await reached(scene, open)).length, 2)
      return "both connect: their groups let ssh in"
    },
  ],
  ["another account's guest by its private address", none(({ stranger }) => [`${stranger.privateAddress}:22`])],
  [
    "ports that the stranger's group keeps shut",
    none(({ stranger }) => [80, 443, 2222].map((port) => `${stranger.publicAddress}:${port}`)),
  ],
  ["the host: a server at all its addresses, the API's port", tryHost],
  ["the infrastructure: all its addresses", none(infrastructure)],
  [
    "the gateway and the resolver beside their services",
    none(() => ["172.31.0.1:80", "172.31.0.1:53", "172.31.0.2:80", "169.254.169.253:80"]),
  ],
  ["metadata under a foreign name, through a proxy, with a token made up", foreignNames],
]
