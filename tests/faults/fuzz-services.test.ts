/**
 * Wrong requests of every service in every protocol: served or refused in their own form, below 500, at a small cost, and what is refused
 * leaves nothing. FRACTUS_FUZZ sets how many, FRACTUS_FUZZ_SEED repeats the choices of a run.
 */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { test } from "node:test"
import { bindings } from "#daemon/bindings.ts"
import { homeFiles } from "#daemon/config.ts"
import { services } from "#tests/clients/operations/checks.ts"
import { loadSchemas, type SchemaSource } from "#wire/schema/load.ts"
import { startSimDaemon } from "../rig/daemon.ts"
import { type Client, createClient } from "./client.ts"
import { drive, fire, memoryMiB, tally, type Target } from "./drive.ts"
import { countFrom, seeded, seedFrom } from "./random.ts"
import { type Shot, shotOf, type Speaker } from "./speakers.ts"
import { wireSpeakers } from "./wire-speakers.ts"

const requests = countFrom("FRACTUS_FUZZ", 2000)
const seed = seedFrom("FRACTUS_FUZZ_SEED", 1_220_438_459)
const lot = 500
/** Of each lot, how many are sent one by one, between two looks at the store. */
const looked = 50
const memoryMostMiB = 700
const growthMostMiB = 150

/** Every service but EC2, by its operations that are done, and one that is not. */
async function servedSpeakers(): Promise<readonly Speaker[]> {
  const others = bindings({} as never).filter(({ name }) => name !== "ec2")
  return Promise.all(
    others.map(async (binding) => {
      const schemas = await loadSchemas(binding.name as SchemaSource)
      const { handlers } =
        services.find(({ name }) => name === binding.name) ?? assert.fail(`${binding.name} has no row`)
      const names = Object.keys(handlers)
      const notDone = Object.keys(schemas).filter((name) => !names.includes(name))
      return { binding, operations: [...names, ...notDone.slice(0, 1)].map((name) => [name, schemas[name]] as const) }
    }),
  )
}

test(`${requests} wrong requests of the services beside EC2 (seed ${seed})`, async (t) => {
  const daemon = await startSimDaemon({ auth: "off", simSpeed: 200 })
  t.after(() => daemon.stop())
  const client = createClient(daemon.endpoint, { connections: 8 })
  t.after(() => client.close())
  const target: Target = { client, pid: daemon.pid, log: () => daemon.log() }
  const speakers = await servedSpeakers()
  const random = seeded(seed)
  const codes: string[] = []
  const memory: number[] = []
  const store = watchStore(daemon.home)
  t.after(() => store.close())
  while (codes.length < requests) {
    await client.send({ path: "/_fractus/reset" })
    await furnish(client)
    codes.push(...(await drive(shots(speakers, random, lot - looked), target)))
    await daemon.settled()
    for (const shot of shots(speakers, random, looked))
      codes.push(await changesNothing(shot, target, store, () => daemon.settled()))
    memory.push(memoryMiB(daemon.pid).nowMiB)
  }
  report(t, codes, memory, daemon.pid)
})

test(`${requests} wrong requests in JSON 1.0, CBOR, REST JSON and query (seed ${seed})`, async (t) => {
  const child = spawn(process.execPath, [new URL("wire-process.ts", import.meta.url).pathname], {
    stdio: ["pipe", "pipe", "pipe"],
  })
  t.after(() => child.kill("SIGKILL"))
  let said = ""
  child.stderr.setEncoding("utf8").on("data", (part: string) => (said = (said + part).slice(-20_000)))
  const [port] = (await once(child.stdout, "data", { signal: AbortSignal.timeout(30_000) })) as [Buffer]
  const client = createClient(`http://127.0.0.1:${port.toString().trim()}`, { connections: 8 })
  t.after(() => client.close())
  assert.ok(child.pid !== undefined)
  const target: Target = { client, pid: child.pid, log: () => said }
  const speakers = await wireSpeakers()
  const random = seeded(seed)
  const codes: string[] = []
  const memory: number[] = []
  while (codes.length < requests) {
    codes.push(...(await drive(shots(speakers, random, lot), target)))
    memory.push(memoryMiB(child.pid).nowMiB)
  }
  report(t, codes, memory, child.pid)
})

const shots = (speakers: readonly Speaker[], random: Parameters<typeof shotOf>[1], count: number): readonly Shot[] =>
  Array.from({ length: count }, () => shotOf(speakers, random))

function report(
  t: { diagnostic(text: string): void },
  codes: readonly string[],
  memory: readonly number[],
  pid: number,
) {
  const { peakMiB } = memoryMiB(pid)
  // The heap is as large as it gets after a fifth.
  const settledMiB = Math.max(...memory.slice(0, Math.ceil(memory.length / 5) + 1))
  const lastMiB = memory.at(-1) ?? 0
  t.diagnostic(
    `at most ${peakMiB.toFixed(0)} MiB, ${settledMiB.toFixed(0)} after a fifth, ${lastMiB.toFixed(0)} at the end`,
  )
  t.diagnostic(tally(codes))
  const served = codes.filter((code) => code === "").length
  assert.ok(served > codes.length / 20, "hardly anything was served: the requests are too wrong to show anything")
  assert.ok(new Set(codes).size > 5, "hardly any error was met: the requests are too right to show anything")
  assert.ok(peakMiB < memoryMostMiB, `it took ${peakMiB} MiB`)
  assert.ok(lastMiB < settledMiB + growthMostMiB, `it grew from ${settledMiB} to ${lastMiB} MiB`)
}

/** Something to name in requests, in both regions. */
async function furnish(client: Client): Promise<void> {
  const scope = `AWS4-HMAC-SHA256 Credential=AKIAFUZZ/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=${"0".repeat(64)}`
  for (const region of ["us-east-1", "eu-west-1"]) await createClient(client.endpoint, { region }).ok("DescribeVpcs")
  for (const path of ["/fuzz-a", "/fuzz-b", "/fuzz-a/a", "/fuzz-a/b/c", "/fuzz-b/b%2Fc%2Fd"]) {
    const { status, body } = await client.send({
      method: "PUT",
      path,
      headers: { authorization: scope, "x-amz-date": "20260101T000000Z" },
      body: path.split("/").length > 2 ? "some content" : "",
    })
    assert.equal(status, 200, body)
  }
}

interface Watch {
  /** Is another one after any change of the store or of the objects' files. */
  state(): string
  close(): void
}

function watchStore(home: string): Watch {
  const folder = homeFiles(home).store
  const store = new DatabaseSync(join(folder, "store.sqlite"), { readOnly: true, timeout: 5000 })
  const objects = join(folder, "objects")
  return {
    state: () => `${JSON.stringify(store.prepare("pragma data_version").get())} ${filesIn(objects).join(" ")}`,
    close: () => store.close(),
  }
}

/** Blobs; the folders that they stand in stay when they go. */
const filesIn = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.includes("sqlite"))
    .map(({ name }) => name)
    .toSorted()

const tries = 3

/** One request; when it is refused, the store is as it was. Other work of the daemon may fall between: then it is asked again. */
async function changesNothing(shot: Shot, target: Target, store: Watch, settled: () => Promise<void>): Promise<string> {
  for (let turn = 1; ; turn++) {
    const before = store.state()
    const code = await fire(shot, target)
    if (code === "") {
      await settled()
      return code
    }
    if (store.state() === before) return code
    assert.ok(turn < tries, `${shot.label} is refused with ${code} and changes the store`)
    await settled()
  }
}
