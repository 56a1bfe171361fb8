/** Real guests in one cloud, each led from launch to end by another client; what the clients are told is the same. */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { openBoto3 } from "#tests/clients/boto3.ts"
import { openCli, openFractusAws } from "#tests/clients/scenario/cli.ts"
import type { Access, Client } from "#tests/clients/scenario/client.ts"
import { assertSame } from "#tests/clients/scenario/compare.ts"
import { boto3, commandLines } from "#tests/clients/scenario/installed.ts"
import { type Line, runSteps } from "#tests/clients/scenario/run.ts"
import { openSdk } from "#tests/clients/scenario/sdk.ts"
import { normalise } from "#tests/clients/scenario/transcript.ts"
import type { Credentials } from "#daemon/home-records.ts"
import { environment } from "#tests/rig/daemon.ts"
import { root } from "../style/tree.ts"
import { type Cloud, inGuest, startCloud, until } from "./cloud.ts"
import { begin, end, middle } from "./clients-steps.ts"
import { wrongIn } from "./orphans.ts"

/** Two guests boot at once under emulation, and other tests run beside them. */
const loginMs = 180_000
const clientMs = 300_000

interface Told {
  readonly name: string
  readonly complete: boolean
  readonly lines: readonly Line[]
}

test("guests by AWS CLI 1 and 2, boto3 and the JavaScript SDK", { concurrency: 2 }, async (t) => {
  const cloud = await startCloud(t, 5480)
  const told: Told[] = []
  await Promise.all(
    clientsOf(cloud).map(({ client, complete }, index) =>
      t.test(client.name, async () => {
        try {
          told.push({ name: client.name, complete, lines: await life(cloud, client, `client-${index}`) })
        } finally {
          await client.close()
        }
      }),
    ),
  )
  const expected = told.find(({ name }) => name === "JavaScript SDK")
  assert.ok(expected, "the SDK got through")
  for (const { lines, complete, name } of told) {
    assertSame(lines, expected.lines, complete)
    t.diagnostic(`${name}: ${lines.length} answers, each the SDK's`)
  }
  assert.deepEqual(await wrongIn(cloud), [])
})

/** Every client of this machine. The system's AWS CLI is started by `./fractus aws`, the first on PATH, if it is another one, as it is. */
function clientsOf(cloud: Cloud): readonly { readonly client: Client; readonly complete: boolean }[] {
  const access = accessTo(cloud)
  const [first, system] = commandLines()
  const python = boto3()
  const viaFractus = { ...access, env: { ...access.env, PATH: "/usr/bin:/bin:/usr/sbin:/sbin" } }
  const byFractus = (version: string) => openFractusAws(join(root, "fractus"), cloud.home, version, viaFractus)
  return [
    { client: openSdk(access), complete: true },
    ...(python ? [{ client: openBoto3(python.program, access, clientMs), complete: python.complete }] : []),
    ...(first && system ? [{ client: openCli(first.program, first.version, access), complete: first.complete }] : []),
    ...[system ?? first].flatMap((each) =>
      each ? [{ client: byFractus(each.version), complete: each.complete }] : [],
    ),
  ]
}

function accessTo({ home, port }: Cloud): Access {
  const credentials = JSON.parse(readFileSync(join(home, "credentials.json"), "utf8")) as Credentials
  const endpoint = `http://127.0.0.1:${port}`
  return { endpoint, credentials, env: environment(endpoint, home, credentials) }
}

/** What the client was told, comparable. Between its steps the guest is asked itself. */
async function life(cloud: Cloud, client: Client, label: string): Promise<readonly Line[]> {
  const kept = new Map([
    ["label", label],
    ["image", cloud.imageId],
  ])
  const run = (steps: typeof begin) => runSteps(client, () => cloud.settled(120), steps, kept)
  const launched = await run(begin)
  const address = kept.get("address") ?? ""
  const made = () => inGuest(cloud, address, "cat /etc/made").catch(() => undefined)
  assert.equal(await until(`${client.name}: user-data`, loginMs, made), label)
  const changed = await run(middle)
  const running = (await cloud.instances()).find(({ InstanceId }) => InstanceId === kept.get("instance"))
  assert.deepEqual([running?.State?.Name, running?.PublicIpAddress], ["running", kept.get("address")])
  const ended = await run(end)
  // The clients' own labels differ, and nothing else may.
  const text = JSON.stringify([...launched, ...changed, ...ended]).replaceAll(label, "<label>")
  return normalise(JSON.parse(text)) as readonly Line[]
}
