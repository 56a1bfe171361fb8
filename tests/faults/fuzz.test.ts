/**
 * Mutated requests, thousands: each is served or refused, well-formed, below 500. FRACTUS_FUZZ sets how many, FRACTUS_FUZZ_SEED repeats the
 * choices of a run. The ids in them are new in every run.
 */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test } from "node:test"
import { microImage } from "#images/catalog.ts"
import { type SimDaemon, startSimDaemon } from "../rig/daemon.ts"
import { type Client, createClient, encode, type RawRequest, readAnswer } from "./client.ts"
import { garble, mutate } from "./mutate.ts"
import { countFrom, type Random, seeded, seedFrom } from "./random.ts"
import { createGenerator, type FuzzRequest, type Known } from "./requests.ts"
import { brokenIn } from "./whole.ts"
import { findAll } from "./xml.ts"

const requests = countFrom("FRACTUS_FUZZ", 5000)
const seed = seedFrom("FRACTUS_FUZZ_SEED", 1_220_438_459)
const atOnce = 8
/** After so many requests the cloud is emptied: the requests are looked at, not what hundreds of instances cost. */
const lot = 500
const memoryMiB = 700

test(`${requests} mutated requests are served or refused (seed ${seed})`, async (t) => {
  const daemon = await startSimDaemon({ auth: "off", simSpeed: 200 })
  t.after(() => daemon.stop())
  const client = createClient(daemon.endpoint, { connections: atOnce })
  t.after(() => client.close())
  const generate = await createGenerator()
  const random = seeded(seed)
  const codes = new Map<string, number>()
  const startMs = performance.now()
  for (let sent = 0; sent < requests; sent += lot) {
    await client.send({ path: "/_fractus/reset" })
    const known = await furnish(client)
    const batch = Array.from({ length: Math.min(lot, requests - sent) }, () => {
      const request = generate(known, random)
      return { request, raw: toRaw(request, known, random) }
    })
    await inParallel(batch, async ({ request, raw }) => {
      const code = await judge(client, request, raw, daemon)
      codes.set(code, (codes.get(code) ?? 0) + 1)
    })
    await daemon.settled()
    assert.deepEqual(brokenIn(daemon.home), [], `seed ${seed}, before request ${sent + lot}`)
  }
  const seconds = (performance.now() - startMs) / 1000
  const served = codes.get("") ?? 0
  const peakMiB = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, "utf8"))?.[1]) / 1024
  t.diagnostic(`${served} served, ${codes.size - 1} codes, ${seconds.toFixed(1)} s, at most ${peakMiB.toFixed(0)} MiB`)
  t.diagnostic(
    [...codes]
      .toSorted((a, b) => b[1] - a[1])
      .map(([code, n]) => `${code || "ok"} ${n}`)
      .join(", "),
  )
  assert.ok(served > requests / 20, "hardly anything was served: the requests are too wrong to show anything")
  assert.ok(codes.size > 15, "hardly any error was met: the requests are too right to show anything")
  assert.ok(peakMiB < memoryMiB, `the daemon took ${peakMiB} MiB`)
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

async function judge(client: Client, request: FuzzRequest, raw: RawRequest, daemon: SimDaemon): Promise<string> {
  try {
    const { status, code, message } = readAnswer(await client.send(raw))
    if (status >= 500) throw new Error(`${status} ${code}: ${message}`)
    return code
  } catch (error) {
    const whole = `${raw.method ?? "POST"} ${raw.path ?? "/"} ${JSON.stringify(raw.headers)}\n${raw.body?.toString() ?? ""}`
    throw new Error(`seed ${seed}: ${request.operation}: ${String(error)}\n${whole}\n${daemon.log().slice(-4000)}`, {
      cause: error,
    })
  }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items].toReversed()
  const runner = async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await work(item)
  }
  await Promise.all(Array.from({ length: atOnce }, runner))
}
