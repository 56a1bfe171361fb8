import assert from "node:assert/strict"
import { test } from "node:test"
import { checkEngineOfHome, checkOptions, differences, newConfig } from "./config.ts"
import { Failure } from "./failure.ts"
import { cidrOption, portOption, speedOption } from "./options.ts"
import { checkDisk } from "./up/prepare.ts"

const exits = (exitCode: number) => (error: unknown) => {
  assert.ok(error instanceof Failure)
  assert.equal(error.exitCode, exitCode)
  assert.ok(error.mend.length > 0, "every failure says how to mend it")
  return true
}

test("a home without options gets the documented defaults", () => {
  assert.deepEqual(newConfig("/h", {}, undefined), {
    home: "/h",
    port: 4566,
    address: "127.0.0.1",
    engine: "qemu",
    auth: "on",
    unknownAmi: "reject",
    simSpeed: 1,
    tls: false,
    region: "us-east-1",
    account: "123456789012",
  })
})

test("a home clones guests again unless a start says that it must not", () => {
  const first = newConfig("/h", { warm: "off" }, undefined)
  assert.equal(first.warm, "off")
  assert.equal(newConfig("/h", {}, first).warm, undefined)
})

test("a home keeps port, public addresses and limit, and forgets auth off and a fast clock", () => {
  const first = newConfig(
    "/h",
    { engine: "sim", port: 4570, auth: "off", simSpeed: 60, publicCidr: "198.18.0.0/20", vcpuLimit: 32 },
    undefined,
  )
  const second = newConfig("/h", { engine: "sim" }, first)
  assert.deepEqual([second.port, second.publicCidr, second.auth, second.simSpeed], [4570, "198.18.0.0/20", "on", 1])
  assert.equal(newConfig("/h", { engine: "sim", port: 1 }, first).port, 1)
  assert.equal(second.vcpuLimit, 32)
  assert.deepEqual(differences({ vcpuLimit: 8 }, second), ["--vcpu-limit 8 (now 32)"])
})

test("throttling is on for the start that asks for it", () => {
  const first = newConfig("/h", { throttle: true }, undefined)
  assert.equal(first.throttle, true)
  const second = newConfig("/h", {}, first)
  assert.equal(second.throttle, undefined)
  assert.deepEqual(differences({ throttle: true }, second), ["--throttle on (now off)"])
  assert.deepEqual(differences({ throttle: true }, first), [])
})

test("auto is qemu and never sim", () => {
  const sim = newConfig("/h", { engine: "sim" }, undefined)
  assert.equal(newConfig("/h", { engine: "auto" }, sim).engine, "qemu")
  assert.equal(newConfig("/h", {}, sim).engine, "qemu")
  assert.throws(() => checkEngineOfHome("/h", "qemu", sim), exits(4))
  checkEngineOfHome("/h", "sim", sim)
  checkEngineOfHome("/h", "qemu", undefined)
})

test("what only makes sense on sim, and what is not built, is refused as usage", () => {
  const refused = [
    { auth: "off" },
    { auth: "off", engine: "qemu" },
    { simSpeed: 2 },
    { demo: true, engine: "sim" },
  ] as const
  for (const options of refused) assert.throws(() => checkOptions(options), exits(2))
  checkOptions({ engine: "sim", auth: "off", simSpeed: 2 })
})

test("a home keeps TLS until it is told otherwise", () => {
  const first = newConfig("/h", { tls: true }, undefined)
  assert.equal(newConfig("/h", {}, first).tls, true)
  assert.equal(newConfig("/h", { tls: false }, first).tls, false)
  assert.deepEqual(differences({ tls: false }, first), ["--tls off (now on)"])
})

test("only options that were given and differ ask for a restart", () => {
  const running = newConfig("/h", { engine: "sim", port: 4570 }, undefined)
  assert.deepEqual(differences({}, running), [])
  assert.deepEqual(differences({ engine: "auto", port: 4570, auth: "on" }, running), [])
  assert.deepEqual(differences({ engine: "qemu", port: 1, publicCidr: "198.18.0.0/20" }, running), [
    "--engine qemu (now sim)",
    "--port 1 (now 4570)",
    "--public-cidr 198.18.0.0/20 (now the default)",
  ])
})

test("numbers and networks are checked", () => {
  assert.equal(portOption("4566"), 4566)
  for (const text of ["0", "65536", "", "12x", "-1", "4566.5", "1e3", " 1"]) assert.throws(() => portOption(text), text)
  assert.equal(speedOption("2.5"), 2.5)
  for (const text of ["0", "0.5", "-1", "fast", "Infinity", "NaN", "1e9"]) assert.throws(() => speedOption(text), text)
  assert.equal(cidrOption("198.18.0.0/20"), "198.18.0.0/20")
  for (const text of [
    "198.18.0.1/20",
    "198.18.0.0",
    "1.2.3/8",
    "256.0.0.0/8",
    "10.0.0.0/7",
    "10.0.0.0/29",
    "127.0.0.0/8",
    "224.0.0.0/8",
    "169.254.0.0/16",
    "::/8",
    "198.18.0.0/20;x",
  ]) {
    assert.throws(() => cidrOption(text), text)
  }
})

test("a nearly full disk is refused with the figure", () => {
  assert.throws(
    () => checkDisk("/h", 4.5 * 1024 ** 3),
    (error) => exits(3)(error) && /4\.5 GB/.test(String(error)),
  )
  checkDisk("/h", 6 * 1024 ** 3)
})
