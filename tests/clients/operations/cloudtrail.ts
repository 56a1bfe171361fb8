import assert from "node:assert/strict"
import type { Check } from "./checks.ts"
import type { Done } from "./cloud.ts"

export const cloudtrail = {
  async LookupEvents({ ec2, refusal, cloudtrail, refusalOf, name, daemon }) {
    const by = (AttributeKey: string, AttributeValue: string) => ({
      LookupAttributes: [{ AttributeKey: AttributeKey as "EventName", AttributeValue }],
    })
    const GroupName = name()
    await ec2("CreateSecurityGroup", { GroupName, Description: "is seen in the trail" })
    assert.equal(await refusal("DescribeVpcs", { VpcIds: ["vpc-00000000"] }), "400 InvalidVpcID.NotFound")
    const { Events: [made] = [] } = await cloudtrail("LookupEvents", {
      ...by("EventName", "CreateSecurityGroup"),
      MaxResults: 1,
    })
    assert.deepEqual(
      [made?.EventName, made?.EventSource, made?.ReadOnly, made?.Username, made?.AccessKeyId],
      ["CreateSecurityGroup", "ec2.amazonaws.com", "false", "root", daemon.credentials.accessKeyId],
    )
    const record = JSON.parse(made?.CloudTrailEvent ?? "{}")
    assert.match(record.userAgent, /aws-sdk-js/)
    assert.match(record.sourceIPAddress, /127\.0\.0\.1$/)
    assert.match(record.requestID, /^[0-9a-f-]{36}$/)
    assert.equal(record.userIdentity.arn, `arn:aws:iam::${daemon.credentials.account}:root`)
    assert.equal(record.errorCode, undefined)
    const { Events: [failed] = [] } = await cloudtrail("LookupEvents", {
      ...by("EventName", "DescribeVpcs"),
      MaxResults: 1,
    })
    assert.equal(JSON.parse(failed?.CloudTrailEvent ?? "{}").errorCode, "InvalidVpcID.NotFound")
    assert.equal(failed?.ReadOnly, "true")

    // An answer that was given again is a call like any other.
    const before = (await cloudtrail("LookupEvents", by("EventName", "DescribeKeyPairs"))).Events?.length ?? 0
    for (let at = 0; at < 3; at++) await ec2("DescribeKeyPairs", { KeyPairIds: [] })
    const after = (await cloudtrail("LookupEvents", by("EventName", "DescribeKeyPairs"))).Events?.length ?? 0
    assert.equal(after, Math.min(50, before + 3))

    const first = await cloudtrail("LookupEvents", { ...by("EventSource", "ec2.amazonaws.com"), MaxResults: 2 })
    const { NextToken = "" } = first
    const second = await cloudtrail("LookupEvents", {
      ...by("EventSource", "ec2.amazonaws.com"),
      MaxResults: 2,
      NextToken,
    })
    const ids = [...(first.Events ?? []), ...(second.Events ?? [])].map(({ EventId }) => EventId)
    assert.equal(new Set(ids).size, 4)
    const { Events: [one, ...others] = [] } = await cloudtrail("LookupEvents", by("EventId", ids[3] ?? ""))
    assert.deepEqual([one?.EventId, others.length], [ids[3], 0])
    const early = { StartTime: new Date(0), EndTime: new Date(1000) }
    assert.deepEqual((await cloudtrail("LookupEvents", early)).Events, [])

    const refused = (input: object) => refusalOf("cloudtrail", "LookupEvents", input)
    assert.equal(await refused({ MaxResults: 51 }), "400 InvalidMaxResultsException")
    assert.equal(await refused({ NextToken }), "400 InvalidNextTokenException")
    assert.equal(await refused({ StartTime: new Date(2000), EndTime: new Date(1000) }), "400 InvalidTimeRangeException")
    assert.equal(await refused(by("Luck", "7")), "400 InvalidLookupAttributesException")
    assert.equal(await refused({ EventCategory: "other" }), "400 InvalidEventCategoryException")
  },
} satisfies Readonly<Record<Done<"cloudtrail">, Check>>
