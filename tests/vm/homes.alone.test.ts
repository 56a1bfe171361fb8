/** Two homes on one machine, each with a guest and the same addresses inside; and what `down` gives back to the machine. */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { test } from "node:test"
import { RunInstancesCommand } from "@aws-sdk/client-ec2"
import { type Cloud, inGuest, startCloud, until } from "./cloud.ts"
import { leftOf, wrongIn } from "./orphans.ts"

const boot = "cat /proc/sys/kernel/random/boot_id"

async function launch(cloud: Cloud): Promise<string> {
  const guest = { ImageId: cloud.imageId, InstanceType: "t3.nano", KeyName: "test", MinCount: 1, MaxCount: 1 } as const
  await cloud.client.send(new RunInstancesCommand(guest))
  await cloud.settled()
  const [instance] = await cloud.instances()
  assert.equal(instance?.State?.Name, "running")
  return instance?.PublicIpAddress ?? ""
}

const login = (cloud: Cloud, address: string) =>
  until(`${address} lets its key in`, 300_000, () => inGuest(cloud, address, boot).catch(() => undefined))

const run = (command: string, ...words: readonly string[]) => execFileSync(command, words, { encoding: "utf8" })

/** Devices, namespaces and tables of homes and of tests that may come and go meanwhile. */
const passing = /\b(f[hr]|tuj|lab|atk|nbr|fresh)[\w-]*\d|fresh|fractus/

/** The host's own rules, routes and settings, as text. Parts that stand on devices of a home or a test are left out. */
function hostState(): Readonly<Record<string, string>> {
  const outside = (text: string) =>
    text
      .split("\n")
      .filter((line) => !passing.test(line))
      .join("\n")
  const tables = run("nft", "list", "tables").split("\n")
  const rules = tables
    .filter((line) => line !== "" && !passing.test(line))
    .map((line) => run("nft", "list", ...line.split(" ")))
  return {
    rules: rules.join("\n"),
    routes: outside(run("ip", "route", "show", "table", "all")),
    policies: run("ip", "rule"),
    links: outside(run("ip", "-o", "link")).replace(/^\d+: /gm, ""),
    settings: outside(run("sysctl", "-a", "--pattern", "^net\\.(ipv4|ipv6|core)")),
    modes: run("sysctl", "net.ipv4.ip_forward"),
  }
}

test("two homes live side by side, one's down leaves the other, and the last leaves the host as it was", async (t) => {
  const before = hostState()
  const first = await startCloud(t, 5104)
  const second = await startCloud(t, 5105)
  assert.notEqual(first.prefix, second.prefix)
  const addresses = [await launch(first), await launch(second)] as const
  const [one, two] = [await login(first, addresses[0]), await login(second, addresses[1])]
  assert.notEqual(one, two)
  // Both have a default VPC of the same range, and neither sees the other's.
  for (const cloud of [first, second]) {
    const [instance, another] = await cloud.instances()
    assert.equal(another, undefined)
    assert.match(instance?.PrivateIpAddress ?? "", /^172\.31\./)
    assert.deepEqual(await wrongIn(cloud), [])
  }
  await first.down()
  assert.deepEqual(leftOf(first), [])
  assert.deepEqual(await wrongIn(second), [])
  assert.equal(await login(second, addresses[1]), two, "the other home's guest goes on")
  await first.up()
  assert.deepEqual(await wrongIn(second), [])
  await first.settled()
  assert.deepEqual(await wrongIn(first), [], "its guest is there again after up")
  await first.down()
  await second.down()
  assert.deepEqual([...leftOf(first), ...leftOf(second)], [])
  assert.deepEqual(hostState(), before)
})
