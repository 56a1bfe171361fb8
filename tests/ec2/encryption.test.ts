/** An encrypted volume whose key cannot be used, on a simulated cloud: the host keeps real keys there too. */
import assert from "node:assert/strict"
import { readdir, readFile, rename, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { test } from "node:test"
import { keyFolder } from "#engine/storage/key-ring.ts"
import { openTestCloud } from "#tests/clients/operations/cloud.ts"

const BlockDeviceMappings = [{ DeviceName: "/dev/xvda", Ebs: { Encrypted: true } }]

test("without its key an instance does not start and says so, the others do, and with the key back it starts", async (t) => {
  const cloud = await openTestCloud()
  t.after(() => cloud.close())
  const { ec2, launch, daemon } = cloud
  const shown = async (id: string) => {
    const { Reservations = [] } = await ec2("DescribeInstances", { InstanceIds: [id] })
    const { State, StateReason } = Reservations[0]?.Instances?.[0] ?? assert.fail("no instance")
    return [State?.Name, StateReason?.Message ?? ""]
  }
  const { Images: [image] = [] } = await ec2("DescribeImages", { ImageIds: [cloud.image] })
  const mappings = BlockDeviceMappings.map((each) => ({ ...each, DeviceName: image?.RootDeviceName ?? "" }))
  const [id] = await launch({ BlockDeviceMappings: mappings })
  const [plain] = await launch()
  assert.equal((await shown(id))[0], "running")
  const [key = "", ...more] = await readdir(keyFolder(daemon.home))
  assert.match(key, /\.key$/)
  assert.deepEqual(more, [])
  const path = join(keyFolder(daemon.home), key)
  const bytes = await readFile(path)
  const store = join(daemon.home, "store")
  for (const file of await readdir(store, { recursive: true, withFileTypes: true }))
    if (file.isFile())
      assert.equal((await readFile(join(file.parentPath, file.name))).includes(bytes), false, file.name)

  await ec2("StopInstances", { InstanceIds: [id, plain] })
  await daemon.settled()
  await rename(path, `${path}.away`)
  await ec2("StartInstances", { InstanceIds: [id, plain] })
  await daemon.settled()
  assert.deepEqual(await shown(id), ["stopped", "Client.InternalError: Client error on launch"])
  assert.equal((await shown(plain))[0], "running")

  await writeFile(path, bytes.subarray(1), { mode: 0o600 })
  const [refused] = await launch({ BlockDeviceMappings: mappings })
  assert.deepEqual(await shown(refused), ["terminated", "Client.InternalError: Client error on launch"])
  assert.equal((await readFile(path)).length, bytes.length - 1, "a damaged key is left as it is")

  await rename(`${path}.away`, path)
  await ec2("StartInstances", { InstanceIds: [id] })
  await daemon.settled()
  assert.equal((await shown(id))[0], "running")
})
