import assert from "node:assert/strict"
import { test } from "node:test"
import { openRig } from "#tests/ec2/rig.ts"

test("an account's attributes, its default VPC among them", async (t) => {
  const rig = await openRig(t)
  const { Vpcs } = await rig.ec2("DescribeVpcs", {})
  const { AccountAttributes } = await rig.ec2("DescribeAccountAttributes", {})
  const shown = AccountAttributes?.map(({ AttributeName, AttributeValues }) => [
    AttributeName,
    AttributeValues?.map((value) => value.AttributeValue).join(),
  ])
  assert.deepEqual(Object.fromEntries(shown ?? []), {
    "supported-platforms": "VPC",
    "vpc-max-security-groups-per-interface": "5",
    "max-elastic-ips": "5",
    "max-instances": "20",
    "vpc-max-elastic-ips": "5",
    "default-vpc": Vpcs?.[0]?.VpcId,
  })
  const one = await rig.ec2("DescribeAccountAttributes", { AttributeNames: ["default-vpc"] })
  assert.equal(one.AccountAttributes?.length, 1)
  const AttributeNames = ["toString" as "default-vpc"]
  assert.match(await rig.fault("DescribeAccountAttributes", { AttributeNames }), /^InvalidParameterValue/)
})
