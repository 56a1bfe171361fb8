/**
 * Terraform applies tests/vm/terraform/main.tf on a simulated cloud: creates, finds no difference, updates, finds none, destroys. It waits for ten
 * seconds of its own after many calls, so it takes minutes. What it calls is replayed in tests/clients/terraform/, which needs no Terraform.
 */
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { execFile, spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { type SimDaemon, startSimDaemon } from "#tests/rig/daemon.ts"

const configuration = new URL("terraform/main.tf", import.meta.url).pathname
/** Providers that are there already; without them Terraform fetches its own. */
const mirror = process.env["TERRAFORM_PLUGINS"] ?? "/opt/tf-plugins"
const deadlineMs = 600_000

const isThere = spawnSync("terraform", ["version"], { timeout: 60_000 }).status === 0

test("terraform creates, updates and destroys, and plans nothing where nothing changed", async (t) => {
  if (!isThere) return t.skip("no terraform")
  const daemon = await startSimDaemon()
  t.after(() => daemon.stop())
  const terraform = await openTerraform(t, daemon)
  await terraform("init")

  await terraform("apply", "-auto-approve")
  const { vpc, zones, group, instances, ...first } = await seen(terraform)
  assert.equal(await changes(terraform), "none")
  assert.equal(first.parameter, first.image)
  assert.deepEqual([vpc?.slice(0, 4), group?.slice(0, 3), zones?.length, instances?.length], ["vpc-", "sg-", 6, 2])
  assert.deepEqual(
    [first.account, first.memory, first.type, first.templated, first.volumes],
    [daemon.credentials.account, 1024, "t3.micro", "t3.micro", 2],
  )
  assert.deepEqual([first.latest, first.defaultsTo, first.etag], [1, 1, md5("hello first")])

  const second = ["-var", "step=second"]
  await terraform("apply", "-auto-approve", ...second)
  const after = await seen(terraform)
  assert.equal(await changes(terraform, ...second), "none")
  // All was changed in place.
  assert.deepEqual([after.instances, after.address], [instances, first.address])
  assert.deepEqual(
    [after.type, after.templated, after.latest, after.defaultsTo, after.etag],
    ["t3.small", "t3.micro", 2, 2, md5("hello second")],
  )

  await terraform("destroy", "-auto-approve", ...second)
  assert.equal((await terraform("state", "list")).trim(), "")
})

const md5 = (text: string) => createHash("md5").update(text).digest("hex")

type Terraform = (...words: readonly string[]) => Promise<string>

/** Runs it in a folder of its own; rejects with what it said when it fails, and with `code`. */
async function openTerraform(t: TestContext, daemon: SimDaemon): Promise<Terraform> {
  const folder = await mkdtemp(join(tmpdir(), "fractus-terraform-"))
  t.after(() => rm(folder, { recursive: true, force: true }))
  await copyFile(configuration, join(folder, "main.tf"))
  const settings = join(folder, "terraform.rc")
  const installation = `provider_installation {\n  filesystem_mirror {\n    path = "${mirror}"\n  }\n}\n`
  await writeFile(settings, existsSync(mirror) ? installation : "")
  const env = {
    ...daemon.env,
    HOME: folder,
    CHECKPOINT_DISABLE: "1",
    TF_IN_AUTOMATION: "1",
    TF_INPUT: "0",
    TF_CLI_CONFIG_FILE: settings,
  }
  return (...words) =>
    new Promise((resolve, reject) => {
      const options = { cwd: folder, env, timeout: deadlineMs, maxBuffer: 1 << 24 }
      const all = words[0] === "state" || words[0] === "output" ? words : [...words, "-no-color"]
      execFile("terraform", all, options, (error, stdout, stderr) => {
        if (error === null) return resolve(stdout)
        reject(Object.assign(new Error(`terraform ${words.join(" ")}:\n${stdout}${stderr}`), { code: error.code }))
      })
    })
}

/** What a plan would do: "none", or its words. Throws when it fails. */
async function changes(terraform: Terraform, ...words: readonly string[]): Promise<string> {
  try {
    await terraform("plan", "-detailed-exitcode", ...words)
    return "none"
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === 2) return error.message
    throw error
  }
}

interface Seen {
  readonly [name: string]: unknown
  readonly vpc?: string
  readonly group?: string
  readonly zones?: readonly string[]
  readonly instances?: readonly string[]
}

/** The configuration's one output. */
async function seen(terraform: Terraform): Promise<Seen> {
  return JSON.parse(await terraform("output", "-json", "seen"))
}
