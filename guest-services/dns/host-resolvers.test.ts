import assert from "node:assert/strict"
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { systemClock } from "#lib/clock.ts"
import { hostResolvers, resolversOf } from "./host-resolvers.ts"

/** The files of a host, and what is read of them; time goes by at each look. */
async function host(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), "fractus-resolvers-"))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const [used, behindStub] = [join(directory, "resolv.conf"), join(directory, "behind")]
  let nowMs = 0
  const look = hostResolvers({ ...systemClock(), monotonicMs: () => nowMs }, { used, behindStub })
  const plain = (found: readonly { address: string }[]) => found.map(({ address }) => address).join(" ")
  return {
    used: (text: string) => writeFile(used, text),
    behindStub: (text: string) => writeFile(behindStub, text),
    replace: async (text: string) => {
      await writeFile(`${used}.new`, text)
      await rename(`${used}.new`, used)
    },
    named: (laterMs = 2_500) => ((nowMs += laterMs), plain(look().named)),
    direct: (laterMs = 2_500) => ((nowMs += laterMs), plain(look().direct)),
  }
}

test("what the host asks, and what of it is reached from elsewhere", async (t) => {
  const { used, named, direct } = await host(t)
  await used(
    "# nameserver 192.0.2.9\nsearch example\nnameserver 127.0.0.1\nnameserver\t192.0.2.1\nnameserver fe80::1%eth0\n",
  )
  assert.deepEqual([named(), direct()], ["127.0.0.1 192.0.2.1 fe80::1%eth0", "192.0.2.1"])
  await used(
    "nameserver 192.0.2.1\nnameserver 192.0.2.2 # two\nnameserver nonsense\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n",
  )
  assert.deepEqual([named(), direct()], ["192.0.2.1 192.0.2.2 192.0.2.3", "192.0.2.1 192.0.2.2 192.0.2.3"])
})

test("addresses that mean something else among the guests are left to the relay", async (t) => {
  const { used, named, direct } = await host(t)
  for (const address of [
    "127.0.0.1",
    "127.0.1.1",
    "0.0.0.0",
    "::1",
    "169.254.169.254",
    "100.100.100.100",
    "100.64.0.1",
  ]) {
    await used(`nameserver ${address}\n`)
    assert.deepEqual([named(), direct()], [address, ""])
  }
  for (const address of ["100.63.0.1", "100.128.0.1", "10.0.0.2", "169.253.0.1"]) {
    await used(`nameserver ${address}\n`)
    assert.equal(direct(), address)
  }
})

test("behind systemd-resolved's stub are the servers of its list, where there is one", async (t) => {
  const { used, behindStub, named, direct } = await host(t)
  await used("nameserver 127.0.0.53\noptions edns0 trust-ad\n")
  assert.deepEqual([named(), direct()], ["127.0.0.53", ""])
  await behindStub("nameserver 192.0.2.5\nnameserver 2001:db8::1\n")
  assert.deepEqual([named(), direct()], ["127.0.0.53", "192.0.2.5"])
  // The list outlives the service, so it counts only while the stub is used.
  await used("nameserver 127.0.0.1\n")
  assert.deepEqual([named(), direct()], ["127.0.0.1", ""])
  await used("nameserver 192.0.2.1\n")
  assert.equal(direct(), "192.0.2.1")
})

test("without any, the host's own is asked", async (t) => {
  const { used, named, direct } = await host(t)
  assert.deepEqual([named(), direct()], ["127.0.0.1", ""])
  await used("search example\n")
  assert.deepEqual([named(), direct()], ["127.0.0.1", ""])
})

test("changes are followed, in place and by rename, and looked for every two seconds", async (t) => {
  const { used, replace, direct } = await host(t)
  await used("nameserver 192.0.2.1\n")
  assert.equal(direct(), "192.0.2.1")
  await used("nameserver 192.0.2.22\n")
  assert.equal(direct(1_500), "192.0.2.1")
  assert.equal(direct(1_000), "192.0.2.22")
  await replace("nameserver 192.0.2.33\n")
  assert.equal(direct(), "192.0.2.33")
})

test("a list that was given is taken as it is", () => {
  assert.deepEqual(resolversOf("1.1.1.1,9.9.9.9:5353"), [
    { address: "1.1.1.1", port: 53 },
    { address: "9.9.9.9", port: 5353 },
  ])
  for (const wrong of ["resolver.example", "1.1.1.1:x", ""]) assert.throws(() => resolversOf(wrong))
})
