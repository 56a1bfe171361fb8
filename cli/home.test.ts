import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { test } from "node:test"
import { callingUser, homeOfUid } from "./caller.ts"
import { existingHome, freeBytes, homeFolder } from "./home.ts"

const isRoot = process.getuid?.() === 0

test("--home wins over FRACTUS_HOME, which wins over the default", () => {
  assert.equal(homeFolder("here", { FRACTUS_HOME: "/there" }), resolve("here"))
  assert.equal(homeFolder(undefined, { FRACTUS_HOME: "/there" }), "/there")
  const byDefault = homeFolder(undefined, { FRACTUS_HOME: "", HOME: "/u", XDG_DATA_HOME: "/data" })
  assert.equal(byDefault, isRoot ? "/var/lib/fractus" : "/data/fractus")
})

test("a cloud that sudo made is found by a user who has none, and only where none was named", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "fractus-home-"))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const system = join(folder, "system")
  const own = join(folder, "own")
  const chosen = { FRACTUS_HOME: own }
  mkdirSync(system)
  writeFileSync(join(system, "config.json"), "{}")
  assert.equal(existingHome(undefined, chosen, system), own)
  assert.equal(existingHome(own, {}, system), own)
  const user = { HOME: folder, XDG_DATA_HOME: join(folder, "data") }
  if (!isRoot) assert.equal(existingHome(undefined, user, system), system)
  rmSync(join(system, "config.json"))
  assert.equal(existingHome(undefined, user, system), homeFolder(undefined, user))
})

test("the calling user is believed only from root, and looked up by number", () => {
  const passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000:,,,:/home/ann:/bin/sh\n"
  assert.equal(homeOfUid(passwd, 1000), "/home/ann")
  assert.equal(homeOfUid(passwd, 10), undefined)
  const caller = callingUser({ HOME: "/u", SUDO_UID: "0", SUDO_GID: "0" })
  assert.deepEqual([caller.home, caller.underSudo], ["/u", false])
  assert.equal(callingUser({ HOME: "/u", SUDO_UID: "x", SUDO_GID: "1" }).underSudo, false)
  assert.equal(callingUser({ HOME: "/u", SUDO_UID: "65534", SUDO_GID: "65534" }).underSudo, isRoot)
})

test("free space is that of the folder that will hold the home", () => {
  assert.ok(Math.abs(freeBytes(join(tmpdir(), "not", "yet", "there")) - freeBytes(tmpdir())) < 1024 ** 3)
})
