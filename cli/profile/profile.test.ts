import assert from "node:assert/strict"
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { readProfile, writeProfile } from "./profile.ts"

const profile = {
  endpoint: "http://127.0.0.1:4566",
  region: "us-east-1",
  accessKeyId: "AKIAEXAMPLE",
  secretAccessKey: "a/b+c=",
}

const person = (context: TestContext) => {
  const home = mkdtempSync(join(tmpdir(), "fractus-profile-"))
  context.after(() => rmSync(home, { recursive: true, force: true }))
  return { uid: 0, gid: 0, home, underSudo: false }
}

test("a new profile is private, and is read back", (context) => {
  const caller = person(context)
  assert.equal(writeProfile(profile, caller, {}), true)
  assert.deepEqual(readProfile(caller, {}), profile)
  for (const name of ["config", "credentials"])
    assert.equal(statSync(join(caller.home, ".aws", name)).mode & 0o777, 0o600)
  assert.equal(writeProfile(profile, caller, {}), false)
  assert.deepEqual(readdirSync(join(caller.home, ".aws")).toSorted(), ["config", "credentials"])
})

test("credentials become private, a config keeps its mode, a link stays a link", (context) => {
  const caller = person(context)
  mkdirSync(join(caller.home, ".aws"))
  writeFileSync(join(caller.home, "dotfile"), "[default]\nregion = x\n")
  chmodSync(join(caller.home, "dotfile"), 0o644)
  symlinkSync("../dotfile", join(caller.home, ".aws", "config"))
  writeFileSync(join(caller.home, ".aws", "credentials"), "[default]\naws_access_key_id = K\n", { mode: 0o644 })
  writeProfile(profile, caller, {})
  assert.ok(lstatSync(join(caller.home, ".aws", "config")).isSymbolicLink())
  assert.match(readFileSync(join(caller.home, "dotfile"), "utf8"), /^\[default\]\nregion = x\n\n\[profile fractus\]/)
  assert.equal(statSync(join(caller.home, "dotfile")).mode & 0o777, 0o644)
  assert.equal(statSync(join(caller.home, ".aws", "credentials")).mode & 0o777, 0o600)
})

test("AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE say where", (context) => {
  const caller = person(context)
  const env = { AWS_CONFIG_FILE: join(caller.home, "c"), AWS_SHARED_CREDENTIALS_FILE: "~/s" }
  writeProfile(profile, caller, env)
  assert.deepEqual(readdirSync(caller.home).toSorted(), ["c", "s"])
  assert.deepEqual(readProfile(caller, env), profile)
})

test("a stale session token in our section goes, another endpoint is replaced", (context) => {
  const caller = person(context)
  writeProfile({ ...profile, endpoint: "http://127.0.0.1:9" }, caller, {})
  const credentials = join(caller.home, ".aws", "credentials")
  writeFileSync(credentials, `${readFileSync(credentials, "utf8")}aws_session_token = old\n`)
  writeProfile(profile, caller, {})
  assert.equal(readProfile(caller, {})?.endpoint, profile.endpoint)
  assert.doesNotMatch(readFileSync(credentials, "utf8"), /token/)
})

test(
  "under sudo the files are the calling user's",
  { skip: process.getuid?.() !== 0 ? "only root can change users" : false },
  (context) => {
    const caller = { ...person(context), uid: 54_321, gid: 54_321, underSudo: true }
    chmodSync(caller.home, 0o777)
    writeProfile(profile, caller, {})
    for (const name of [".aws", ".aws/config", ".aws/credentials"]) {
      const { uid, gid } = statSync(join(caller.home, name))
      assert.deepEqual([uid, gid], [54_321, 54_321])
    }
    assert.deepEqual([process.geteuid?.(), process.getegid?.()], [0, 0])
  },
)

test(
  "under sudo a link to a file that the user may not write is refused",
  { skip: process.getuid?.() !== 0 ? "only root can change users" : false },
  (context) => {
    const caller = { ...person(context), uid: 54_321, gid: 54_321, underSudo: true }
    const secret = mkdtempSync(join(tmpdir(), "fractus-other-"))
    context.after(() => rmSync(secret, { recursive: true, force: true }))
    writeFileSync(join(secret, "file"), "root's own", { mode: 0o600 })
    mkdirSync(join(caller.home, ".aws"))
    symlinkSync(join(secret, "file"), join(caller.home, ".aws", "credentials"))
    chmodSync(caller.home, 0o777)
    assert.throws(() => writeProfile(profile, caller, {}), { code: "EACCES" })
    assert.equal(readFileSync(join(secret, "file"), "utf8"), "root's own")
  },
)
