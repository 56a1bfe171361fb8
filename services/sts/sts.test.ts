import assert from "node:assert/strict"
import { test } from "node:test"
import { openRig } from "#tests/ec2/rig.ts"
import { createService } from "./service.ts"

const info = {
  requestId: "00000000-0000-4000-8000-000000000000",
  region: "us-east-1",
  caller: { account: "123456789012", arn: "arn:aws:iam::123456789012:root", userId: "123456789012" },
}

test("GetCallerIdentity says whose key signed the call", async (t) => {
  const { cloud } = await openRig(t)
  assert.deepEqual(
    await createService(cloud).dispatch("GetCallerIdentity", {}, { ...info, operation: "GetCallerIdentity" }),
    {
      UserId: "123456789012",
      Account: "123456789012",
      Arn: "arn:aws:iam::123456789012:root",
    },
  )
})

test("what STS does not do yet is UnsupportedOperation", async (t) => {
  const { cloud } = await openRig(t)
  for (const operation of ["AssumeRole", "toString"])
    await assert.rejects(createService(cloud).dispatch(operation, {}, { ...info, operation }), {
      code: "UnsupportedOperation",
    })
})
