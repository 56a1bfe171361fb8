/**
 * Mutated requests, thousands: each is served or refused, well-formed, below 500. FRACTUS_FUZZ sets how many, FRACTUS_FUZZ_SEED repeats the
 * choices of a run. The ids in them are new in every run.
 */
import assert from "node:assert/strict"
import { test } from "node:test"
import { microImage } from "#images/catalog.ts"
import { startSimDaemon } from "../rig/daemon.ts"
import { type Client, createClient, encode, type RawRequest, readAnswer } from "./client.ts"
import { drive, memoryMiB, tally, type Target } from "./drive.ts"
import { garble, mutate } from "./mutate.ts"
import { countFrom, type Random, seeded, seedFrom } from "./random.ts"
import { createGenerator, type FuzzRequest, type Known } from "./requests.ts"
import { brokenIn } from "./whole.ts"
import { findAll } from "./xml.ts"

const requests = countFrom("FRACTUS_FUZZ", 2000)
const seed = seedFrom("FRACTUS_FUZZ_SEED", 1_220_438_459)
/** After so many requests the cloud is emptied: the requests are looked at, not what hundreds of instances cost. */
const lot = 500
const memoryMostMiB = 700

test(`${requests} mutated requests are served or refused (seed ${seed})`, async (t) => {
  const daemon = await startSimDaemon({ auth: "off", simSpeed: 200 })
  t.after(() => daemon.stop())
  const client = createClient(daemon.endpoint, { connections: 8 })
  t.after(() => client.close())
  const generate = await createGenerator()
  const random = seeded(seed)
  const target: Target = { client, pid: daemon.pid, log: () => daemon.log() }
  const codes: string[] = []
  const startMs = performance.now()
  for (let sent = 0; sent < requests; sent += lot) {
    await client.send({ path: "/_fractus/reset" })
    const known = await furnish(client)
    const batch = Array.from({ length: Math.min(lot, requests - sent) }, () => {
      const request = generate(known, random)
      return { label: request.operation, protocol: "ec2Query" as const, raw: toRaw(request, known, random) }
    })
    codes.push(...(await drive(batch, target)))
    // A lot may launch thousands.
    await daemon.settled(120)
    assert.deepEqual(brokenIn(daemon.home), [], `seed ${seed}, before request ${sent + lot}`)
  }
  const seconds = (performance.now() - startMs) / 1000
  const served = codes.filter((code) => code === "").length
  const { peakMiB } = memoryMiB(daemon.pid)
  t.diagnostic(`${served} served, ${seconds.toFixed(1)} s, at most ${peakMiB.toFixed(0)} MiB`)
  t.diagnostic(tally(codes))
  assert.ok(served > requests / 20, "hardly anything was served: the requests are too wrong to show anything")
  assert.ok(new Set(codes).size > 15, "hardly any error was met: the requests are too right to show anything")
  assert.ok(peakMiB < memoryMostMiB, `the daemon took ${peakMiB} MiB`)
})

/** Something to name in requests. */
async function furnish(client: Client): Promise<Known> {
  const launch = { ImageId: microImage.id, InstanceType: "t3.micro", MinCount: 3, MaxCount: 3 }
  const ids = async (action: string, name: string, parameters = {}) => [
    ...new Set(findAll(await client.ok(action, parameters), name).map((found) => found.text)),
  ]
  const foreign = await idsElsewhere(client, "eu-west-1")
  return {
    instance: [...(await ids("RunInstances", "instanceId", launch)), ...foreign],
    "security-group": [
      ...(await ids("CreateSecurityGroup", "groupId", { GroupName: "fuzz-1", GroupDescription: "x" })),
      ...(await ids("DescribeSecurityGroups", "groupId")),
    ],
    "security-group-rule": await ids("DescribeSecurityGroupRules", "securityGroupRuleId"),
    "key-pair": await ids("CreateKeyPair", "keyPairId", { KeyName: "fuzz-1", KeyType: "ed25519" }),
    subnet: await ids("DescribeSubnets", "subnetId"),
    vpc: await ids("DescribeVpcs", "vpcId"),
    volume: await ids("DescribeVolumes", "volumeId"),
    "network-interface": await ids("DescribeNetworkInterfaces", "networkInterfaceId"),
  }
}

/** Ids that are another region's. */
async function idsElsewhere(client: Client, region: string): Promise<readonly string[]> {
  const body = encode([
    ["Action", "DescribeVpcs"],
    ["Version", "2016-11-15"],
  ])
  const { xml } = readAnswer(await client.send({ headers: headersOf(region), body }))
  return findAll(xml, "vpcId").map((found) => found.text)
}

function headersOf(region: string, type = "application/x-www-form-urlencoded") {
  return {
    "content-type": type,
    "x-amz-date": "20260101T000000Z",
    authorization: `AWS4-HMAC-SHA256 Credential=AKIAFUZZ/20260101/${region}/ec2/aws4_request, SignedHeaders=host, Signature=0`,
  }
}

function toRaw({ operation, region, pairs }: FuzzRequest, known: Known, random: Random): RawRequest {
  const text = encode([["Action", operation], ["Version", "2016-11-15"], ...mutate(pairs, random, known)])
  const headers = headersOf(region)
  if (random.once(20)) return { headers, body: garble(text, random) }
  if (random.once(20) && text.length < 8000) return { method: "GET", path: `/?${text}`, headers }
  return { headers, body: text }
}
