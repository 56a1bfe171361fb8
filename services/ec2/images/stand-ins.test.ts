/** `--unknown-ami substitute`: what configurations written for AWS look up and launch. */
import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import { imageIdOf } from "#images/catalog.ts"
import type { Fault } from "#lib/fault.ts"
import type { Input, Output } from "#services/ec2/handler.ts"
import { createEc2, type handlers } from "#services/ec2/service.ts"
import { account, openRig } from "#tests/ec2/rig.ts"
import { type PublicImage, registerPublicImages } from "./register.ts"

type Done = keyof typeof handlers
const imageOf = (name: string, state?: "pending"): PublicImage => {
  const id = imageIdOf(name)
  const common = { description: "", architecture: "x86_64", rootDeviceName: "/dev/xvda", sizeBytes: 2 ** 30 } as const
  return { ...common, id, name, createdMs: 1000, ...(state && { state }) }
}
const micro = imageOf("fractus-micro-1.4-x86_64")
const debian = imageOf("debian-12-1.2-x86_64")

async function openCloud(t: TestContext, images: readonly PublicImage[] = [micro, debian]) {
  const rig = await openRig(t)
  const cloud = { ...rig.cloud, settings: { ...rig.cloud.settings, unknownAmi: "substitute" as const } }
  await registerPublicImages(cloud, images)
  const service = createEc2(cloud)
  const ec2 = async <O extends Done>(operation: O, input: Input<O>): Promise<Output<O>> => {
    const caller = { account, arn: `arn:aws:iam::${account}:root`, userId: account }
    const info = { requestId: "r", operation, region: "eu-west-1", caller }
    return (await service.dispatch(operation, { ...(input as object) }, info)) as never
  }
  const find = async (Owners: string[], name: string) => {
    const { Images = [] } = await ec2("DescribeImages", { Owners, Filters: [{ Name: "name", Values: [name] }] })
    return Images
  }
  const launch = async (ImageId: string, InstanceType: "t3.micro" | "c7g.medium" = "t3.micro") => {
    const { Instances: [instance] = [] } = await ec2("RunInstances", {
      ImageId,
      InstanceType,
      MinCount: 1,
      MaxCount: 1,
    })
    const rows = rig.assigned.flatMap(({ assign = [] }) => assign)
    const guest = rows.find(({ resource }) => resource === instance?.InstanceId)
    const volume = rows.findLast(({ kind }) => kind === "volume")
    const imageIn = (row: typeof guest) => (row?.spec as { readonly image?: string } | undefined)?.image
    return { instance, images: [imageIn(guest), imageIn(volume)] }
  }
  return { rig, cloud, ec2, find, launch }
}

test("owners and name patterns of AWS find an image, and it is launched in its place", async (t) => {
  const { rig, cloud, ec2, find, launch } = await openCloud(t)
  for (const [owners, name, behind] of [
    [["amazon"], "al2023-ami-2023.*-x86_64", micro],
    [["137112412989"], "al2023-ami-*-kernel-6.1-x86_64", micro],
    [["amazon"], "amzn2-ami-hvm-*-x86_64-gp2", micro],
    [["099720109477"], "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*", debian],
    [["099720109477"], "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*", debian],
    [["136693071363"], "debian-12-amd64-*", debian],
  ] as const) {
    const [image] = await find([...owners], name)
    assert.deepEqual(
      [image?.State, image?.Architecture, image?.ImageOwnerAlias],
      ["available", "x86_64", "amazon"],
      name,
    )
    const id = image?.ImageId ?? ""
    const { instance, images } = await launch(id)
    assert.equal(instance?.ImageId, id, "the plan sees no difference")
    assert.deepEqual(images, [behind.id, behind.id], name)
    const [event] = await cloud.store.eventsOf(instance?.InstanceId ?? "", 10)
    assert.deepEqual(event?.detail, { state: `launched of ${behind.name}, in place of ${id}` })
    // The id means the same after another look at the images, in each region.
    await registerPublicImages(cloud, [micro, debian])
    assert.equal((await ec2("DescribeImages", { ImageIds: [id] })).Images?.[0]?.Name, image?.Name)
  }
  assert.deepEqual(await find(["self"], "debian-12-*"), [])
  assert.deepEqual(await find(["amazon"], "al2023-ami-*-arm64"), [])
  assert.equal(rig.cloud.settings.unknownAmi, "reject")
})

test("an id that is nobody's is described and launched, of an architecture that the type has", async (t) => {
  const { ec2, launch } = await openCloud(t)
  const id = "ami-0c55b159cbfafe1f0"
  const { Images: [image] = [] } = await ec2("DescribeImages", { ImageIds: [id] })
  assert.deepEqual([image?.ImageId, image?.RootDeviceName, image?.State], [id, "/dev/xvda", "available"])
  assert.match(image?.Description ?? "", /^Not here: fractus-micro-1\.4-x86_64 /)
  assert.deepEqual((await launch(id)).images, [micro.id, micro.id])
  const both = await ec2("DescribeImages", { ImageIds: [id, debian.id] })
  assert.deepEqual(both.Images?.map(({ ImageId }) => ImageId).toSorted(), [id, debian.id].toSorted())
  const filtered = { ImageIds: [id], Filters: [{ Name: "architecture", Values: ["arm64"] }] }
  assert.deepEqual((await ec2("DescribeImages", filtered)).Images, [])
  await assert.rejects(launch(id, "c7g.medium"), { code: "InvalidAMIID.NotFound" })
  await assert.rejects(launch("ami-../../etc"), { code: "InvalidAMIID.Malformed" })
})

test("an image that is not built yet stands for none, and takes its place when it is", async (t) => {
  const { cloud, find, launch } = await openCloud(t, [micro, imageOf(debian.name, "pending")])
  const [image] = await find(["136693071363"], "debian-12-amd64-*")
  assert.deepEqual((await launch(image?.ImageId ?? "")).images, [micro.id, micro.id])
  await registerPublicImages(cloud, [micro, debian])
  assert.deepEqual((await launch(image?.ImageId ?? "")).images, [debian.id, debian.id])
})

test("a start without the option forgets them all", async (t) => {
  const { rig, cloud, find } = await openCloud(t)
  const [image] = await find(["amazon"], "al2023-ami-*")
  await registerPublicImages(rig.cloud, [micro, debian])
  const refused = async (input: Input<"DescribeImages">) =>
    rig.ec2("DescribeImages", input).then(
      ({ Images }) => Images?.length,
      (error: Fault) => error.code,
    )
  assert.equal(await refused({}), 2)
  assert.equal(await refused({ ImageIds: [image?.ImageId ?? ""] }), "InvalidAMIID.NotFound")
  assert.equal((await cloud.store.getMany([image?.ImageId ?? ""])).size, 0)
})
