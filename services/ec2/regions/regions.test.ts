import assert from "node:assert/strict"
import { test } from "node:test"
import { openRig } from "#tests/ec2/rig.ts"
import { isRegion, regions, zonesOf } from "./data.ts"

test("regions are listed, filtered and found by name", async (t) => {
  const rig = await openRig(t)
  const usual = (await rig.ec2("DescribeRegions", {})).Regions ?? []
  assert.equal(usual.length, 17)
  const all = (await rig.ec2("DescribeRegions", { AllRegions: true })).Regions ?? []
  assert.equal(all.length, regions.length)
  const needing = all.filter((region) => region.OptInStatus === "not-opted-in").map((region) => region.RegionName)
  assert.equal(needing.length, 17)
  assert.deepEqual(
    all.find((region) => region.RegionName === "eu-west-1"),
    {
      RegionName: "eu-west-1",
      Endpoint: "ec2.eu-west-1.amazonaws.com",
      OptInStatus: "opt-in-not-required",
      Geography: [{ Name: "Ireland" }],
    },
  )
  const names = async (input: object) => (await rig.ec2("DescribeRegions", input)).Regions?.map((one) => one.RegionName)
  assert.deepEqual(await names({ RegionNames: ["us-west-2", "eu-west-1"] }), ["eu-west-1", "us-west-2"])
  assert.deepEqual(await names({ RegionNames: ["af-south-1"] }), ["af-south-1"])
  assert.deepEqual(await names({ Filters: [{ Name: "opt-in-status", Values: ["not-opted-in"] }] }), [])
  assert.deepEqual(await names({ Filters: [{ Name: "endpoint", Values: ["*us-*1.amazon*"] }] }), [
    "us-east-1",
    "us-west-1",
  ])
  assert.equal((await names({ Filters: [{ Name: "opt-in-status", Values: ["opt-in-not-required"] }] }))?.length, 17)
  assert.match(await rig.fault("DescribeRegions", { RegionNames: ["mars-1"] }), /^InvalidParameterValue: .*mars-1/)
  assert.match(
    await rig.fault("DescribeRegions", { Filters: [{ Name: "name", Values: ["x"] }] }),
    /^InvalidParameterValue/,
  )
  assert.match(await rig.fault("DescribeRegions", { DryRun: true }), /^DryRunOperation/)
})

test("us-east-1 has six zones, each region its own", async (t) => {
  const rig = await openRig(t)
  const all = (await rig.ec2("DescribeAvailabilityZones", {})).AvailabilityZones ?? []
  assert.deepEqual(
    all.map((zone) => zone.ZoneName),
    ["a", "b", "c", "d", "e", "f"].map((letter) => `us-east-1${letter}`),
  )
  assert.deepEqual(all[0], {
    State: "available",
    OptInStatus: "opt-in-not-required",
    Messages: [],
    RegionName: "us-east-1",
    ZoneName: "us-east-1a",
    ZoneId: "use1-az1",
    GroupName: "us-east-1-zg-1",
    GroupLongName: "US East (N. Virginia) 1",
    NetworkBorderGroup: "us-east-1",
    ZoneType: "availability-zone",
    Geography: [{ Name: "United States of America" }],
  })
  const ids = async (input: object, region?: string) =>
    (await rig.ec2("DescribeAvailabilityZones", input, region === undefined ? {} : { region })).AvailabilityZones?.map(
      (zone) => zone.ZoneId,
    )
  assert.deepEqual(await ids({}, "ap-northeast-1"), ["apne1-az1", "apne1-az2", "apne1-az4"])
  assert.deepEqual(await ids({ ZoneNames: ["us-east-1c"], ZoneIds: ["use1-az3"] }), ["use1-az3"])
  assert.deepEqual(await ids({ Filters: [{ Name: "zone-name", Values: ["*b", "*d"] }] }), ["use1-az2", "use1-az4"])
  assert.deepEqual(await ids({ Filters: [{ Name: "parent-zone-id", Values: ["*"] }] }), [])
  for (const [Name, value] of Object.entries({
    "group-name": "us-east-1-zg-1",
    state: "available",
    "region-name": "us-*",
    "zone-type": "availability-zone",
  }))
    assert.equal((await ids({ Filters: [{ Name, Values: [value] }] }))?.length, 6, Name)
  assert.match(await rig.fault("DescribeAvailabilityZones", { ZoneNames: ["us-east-1z"] }), /^InvalidParameterValue/)
  assert.match(await rig.fault("DescribeAvailabilityZones", { ZoneIds: ["use1-az9"] }), /^InvalidParameterValue/)
})

test("zone names and ids are unique among all regions", () => {
  const zones = regions.flatMap((region) => region.zones)
  assert.equal(new Set(zones.map((zone) => zone.name)).size, zones.length)
  assert.equal(new Set(zones.map((zone) => zone.id)).size, zones.length)
  assert.ok(regions.every((region) => isRegion(region.name) && region.zones.length >= 2))
  assert.equal(isRegion("toString"), false)
  assert.deepEqual(zonesOf("mars-1"), [])
})
