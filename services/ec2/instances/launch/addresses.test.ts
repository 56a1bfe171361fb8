/** Private addresses that RunInstances gives. */
import assert from "node:assert/strict"
import { test } from "node:test"
import type { Spec } from "#host/protocol/types.ts"
import { imageIdOf } from "#images/catalog.ts"
import { openRig } from "../../../../tests/ec2/rig.ts"
import { registerPublicImages } from "../../images/register.ts"

const name = "fractus-micro-test-x86_64"
const image = imageIdOf(name)

test("a launch gets further private addresses, named or drawn, and the host is told of them", async (t) => {
  const rig = await openRig(t)
  const facts = { description: "", architecture: "x86_64" as const, rootDeviceName: "/dev/xvda", sizeBytes: 2 ** 30 }
  await registerPublicImages(rig.cloud, [{ id: image, name, createdMs: 0, ...facts }])
  const launchWith = async (entry: object, more: object = {}) => {
    const NetworkInterfaces = [{ DeviceIndex: 0, ...entry }]
    const one = { ImageId: image, InstanceType: "t3.medium" as const, MinCount: 1, MaxCount: 1, NetworkInterfaces }
    const { Instances = [] } = await rig.ec2("RunInstances", { ...one, ...more })
    return Instances.map((instance) => {
      const all = instance.NetworkInterfaces?.[0]?.PrivateIpAddresses ?? []
      assert.deepEqual(
        all.map((each) => each.Primary),
        all.map((_, index) => index === 0),
      )
      assert.equal(instance.PrivateIpAddress, all[0]?.PrivateIpAddress)
      return { id: instance.InstanceId ?? "", addresses: all.map((each) => each.PrivateIpAddress ?? "") }
    })
  }
  const drawn = await launchWith({ SecondaryPrivateIpAddressCount: 2 }, { MinCount: 2, MaxCount: 2 })
  const all = drawn.flatMap(({ addresses }) => addresses)
  assert.deepEqual([drawn.map(({ addresses }) => addresses.length), new Set(all).size], [[3, 3], 6])
  const list = [
    { PrivateIpAddress: "172.31.0.200", Primary: false },
    { PrivateIpAddress: "172.31.0.201", Primary: true },
  ]
  const [named] = await launchWith({ PrivateIpAddresses: list })
  assert.deepEqual(named?.addresses, ["172.31.0.201", "172.31.0.200"])
  const [mixed] = await launchWith({
    PrivateIpAddress: "172.31.0.210",
    PrivateIpAddresses: [{ PrivateIpAddress: "172.31.0.211" }],
  })
  assert.deepEqual(mixed?.addresses, ["172.31.0.210", "172.31.0.211"])
  const rows = await rig.cloud.store.assignments("local")
  const spec = rows.find((row) => row.resource === named?.id)?.spec as Spec | undefined
  assert.ok(spec?.kind === "guest")
  assert.deepEqual(spec.ports[0]?.port.secondary, [{ address: "172.31.0.200" }])
  const refused = (entry: object, InstanceType = "t3.medium") =>
    rig.fault("RunInstances", {
      ImageId: image,
      InstanceType: InstanceType as "t3.medium",
      MinCount: 1,
      MaxCount: 1,
      NetworkInterfaces: [{ DeviceIndex: 0, ...entry }],
    })
  assert.match(await refused({ PrivateIpAddresses: list }), /^InvalidIPAddress\.InUse: .*172\.31\.0\.20[01]/)
  assert.match(await refused({ SecondaryPrivateIpAddressCount: 6 }), /^PrivateIpAddressLimitExceeded/)
  const twice = [{ PrivateIpAddress: "172.31.0.220" }, { PrivateIpAddress: "172.31.0.220" }]
  assert.match(await refused({ PrivateIpAddresses: twice }), /^InvalidParameterValue/)
  const both = { PrivateIpAddress: "172.31.0.221", PrivateIpAddresses: list }
  assert.match(await refused(both), /^InvalidParameterCombination/)
})
