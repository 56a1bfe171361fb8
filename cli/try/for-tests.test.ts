/** As a user's test does: by the name of the package. */
import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { DescribeInstancesCommand, EC2Client, RunInstancesCommand } from "@aws-sdk/client-ec2"
import { cloud } from "fractus/test"
import { inRepository } from "../repository.ts"
import { answers, openRig, until } from "./rig.ts"

test("a cloud of a test: launched, settled, seen, emptied, gone with its block", async () => {
  let endpoint: string
  {
    await using c = await cloud()
    endpoint = c.endpoint
    const ec2 = new EC2Client({ endpoint, region: c.region, credentials: c.credentials, maxAttempts: 1 })
    const image = { ImageId: c.images[0]?.id, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 } as const
    const { Instances: [{ InstanceId: id = "" } = {}] = [] } = await ec2.send(new RunInstancesCommand(image))
    await c.settled({ timeoutS: 60 })
    const states = async (): Promise<(string | undefined)[]> =>
      (await ec2.send(new DescribeInstancesCommand({}))).Reservations?.flatMap(({ Instances = [] }) =>
        Instances.map(({ InstanceId, State }) => `${InstanceId} ${State?.Name}`),
      ) ?? []
    assert.deepEqual(await states(), [`${id} running`])
    await c.reset()
    assert.deepEqual(await states(), [])
    // Its keys are checked: a client that signs wrongly is told so here and not by AWS.
    const wrong = new EC2Client({ endpoint, region: c.region, credentials: { ...c.credentials, secretAccessKey: "x" } })
    await assert.rejects(wrong.send(new DescribeInstancesCommand({})), { name: "AuthFailure" })
    assert.equal(c.env["AWS_ENDPOINT_URL"], endpoint)
    assert.equal(c.env["PATH"], process.env["PATH"])
    assert.deepEqual(
      Object.keys(c).toSorted(),
      ["close", "credentials", "endpoint", "env", "images", "region", "reset", "settled"], // as for-tests.d.ts says
    )
    ec2.destroy()
  }
  assert.equal(await answers(endpoint), false)
})

test("a cloud that nobody closes ends with its process: by its last line, and by kill -9", async (context) => {
  const rig = openRig(context)
  const module = JSON.stringify(inRepository("cli/try/for-tests.js"))
  const open = `import { cloud } from ${module}\nconst { endpoint } = await cloud()\nconsole.log(endpoint)\n`
  writeFileSync(join(rig.folder, "forgets.mjs"), open)
  writeFileSync(join(rig.folder, "waits.mjs"), `${open}setInterval(() => undefined, 1000)`)
  const forgets = rig.start([process.execPath, join(rig.folder, "forgets.mjs")])
  assert.equal((await forgets.ended).code, 0)
  const waits = rig.start([process.execPath, join(rig.folder, "waits.mjs")])
  const endpoint = await waits.line()
  assert.equal(await answers(endpoint), true)
  waits.child.kill("SIGKILL")
  await until("it ends", async () => !(await answers(endpoint)))
  await rig.assertNothingLeft()
})

test("what cannot be had is said", async () => {
  // @ts-expect-error -- the compiler says it too
  await assert.rejects(cloud({ engine: "xen" }), /engine is "sim" or "qemu"/)
  if (process.getuid?.() !== 0) await assert.rejects(cloud({ engine: "qemu" }), /real guests need root/)
})
