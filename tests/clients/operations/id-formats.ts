/** Formats of ids. */
import assert from "node:assert/strict"
import type { Checks } from "./checks.ts"

const others = "arn:aws:iam::999999999999:root"

export const idFormats = {
  async DescribeIdFormat({ ec2, refusal }) {
    const { Statuses = [] } = await ec2("DescribeIdFormat", {})
    assert.ok(Statuses.length > 30 && Statuses.every(({ UseLongIds }) => UseLongIds === true))
    const one = await ec2("DescribeIdFormat", { Resource: "instance" })
    assert.deepEqual(one.Statuses, [{ Resource: "instance", UseLongIds: true }])
    assert.equal(await refusal("DescribeIdFormat", { Resource: "castle" }), "400 InvalidParameterValue")
  },

  async DescribeAggregateIdFormat({ ec2, refusal }) {
    const { Statuses, UseLongIdsAggregated } = await ec2("DescribeAggregateIdFormat", {})
    assert.equal(UseLongIdsAggregated, true)
    assert.deepEqual(Statuses, (await ec2("DescribeIdFormat", {})).Statuses)
    assert.equal(await refusal("DescribeAggregateIdFormat", { DryRun: true }), "412 DryRunOperation")
  },

  async DescribeIdentityIdFormat({ ec2, refusal, daemon }) {
    const PrincipalArn = `arn:aws:iam::${daemon.credentials.account}:root`
    const { Statuses } = await ec2("DescribeIdentityIdFormat", { PrincipalArn, Resource: "volume" })
    assert.deepEqual(Statuses, [{ Resource: "volume", UseLongIds: true }])
    assert.equal(await refusal("DescribeIdentityIdFormat", { PrincipalArn: others }), "400 InvalidParameterValue")
  },

  async DescribePrincipalIdFormat({ ec2, refusal, daemon }) {
    const { Principals = [] } = await ec2("DescribePrincipalIdFormat", { Resources: ["subnet", "vpc"], MaxResults: 5 })
    assert.deepEqual(
      Principals.map(({ Arn, Statuses }) => [Arn, Statuses?.map(({ Resource }) => Resource)]),
      [[`arn:aws:iam::${daemon.credentials.account}:root`, ["subnet", "vpc"]]],
    )
    assert.equal(await refusal("DescribePrincipalIdFormat", { Resources: ["castle"] }), "400 InvalidParameterValue")
  },

  async ModifyIdFormat({ ec2, refusal }) {
    await ec2("ModifyIdFormat", { Resource: "all-current", UseLongIds: true })
    const short = { Resource: "instance", UseLongIds: false }
    assert.equal(await refusal("ModifyIdFormat", short), "400 OperationNotPermitted")
    assert.equal(await refusal("ModifyIdFormat", { ...short, Resource: "castle" }), "400 InvalidParameterValue")
  },

  async ModifyIdentityIdFormat({ ec2, refusal, daemon }) {
    const long = { Resource: "instance", UseLongIds: true }
    const PrincipalArn = `arn:aws:iam::${daemon.credentials.account}:user/alice`
    await ec2("ModifyIdentityIdFormat", { ...long, PrincipalArn })
    const refused = (input: object) => refusal("ModifyIdentityIdFormat", { ...long, PrincipalArn, ...input })
    assert.equal(await refused({ UseLongIds: false }), "400 OperationNotPermitted")
    assert.equal(await refused({ PrincipalArn: others }), "400 InvalidParameterValue")
  },
} satisfies Checks
