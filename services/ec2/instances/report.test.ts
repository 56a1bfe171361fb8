/** A report of an instance's status is kept, though no answer shows it. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { imageIdOf } from "#images/catalog.ts"
import { openRig } from "../../../tests/ec2/rig.ts"
import { registerPublicImages } from "../images/register.ts"
import { observe } from "../service.ts"

const name = "fractus-micro-test-x86_64"

test("a report is an event in the history of each instance it names", async (t) => {
  const rig = await openRig(t)
  const facts = { description: "", architecture: "x86_64" as const, rootDeviceName: "/dev/xvda", createdMs: 0 }
  await registerPublicImages(rig.cloud, [{ ...facts, id: imageIdOf(name), name, sizeBytes: 2 ** 30 }])
  const run = { ImageId: imageIdOf(name), InstanceType: "t3.micro" as const, MinCount: 2, MaxCount: 2 }
  const ids = (await rig.ec2("RunInstances", run)).Instances?.map((each) => each.InstanceId ?? "") ?? []
  for (const resource of ids) {
    const status = { kind: "guest" as const, phase: "on" as const, starts: 1, resets: 0 }
    await observe(rig.cloud, { resource, generation: 1, status })
  }
  await rig.ec2("ReportInstanceStatus", {
    Instances: ids,
    Status: "impaired",
    ReasonCodes: ["unresponsive", "unresponsive"],
    StartTime: new Date(5),
  })
  for (const id of ids) {
    const newest = (await rig.cloud.store.eventsOf(id, 1))[0]
    assert.deepEqual(
      [newest?.kind, newest?.detail],
      ["instance-report", { status: "impaired", reasons: ["unresponsive"], startMs: 5 }],
    )
  }
})
