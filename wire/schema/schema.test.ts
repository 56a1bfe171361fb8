import assert from "node:assert/strict"
import { test } from "node:test"
import { parseForm } from "../protocols/form.ts"
import { defaultLimits } from "../protocols/limits.ts"
import { compileOperation, type Operation } from "../protocols/query.ts"
import { loadSchemas } from "./load.ts"
import { readBlob, readBoolean, readNumber, readTimestamp } from "./scalars.ts"

const ec2 = await loadSchemas("ec2")
const dialect = { protocol: "ec2Query", xmlNamespace: "urn:x" } as const

function operation(name: string): Operation {
  return compileOperation(name, ec2[name], dialect)
}
function read(name: string, form: string): object {
  return operation(name).read(parseForm([form], defaultLimits))
}
function write(name: string, output: object): string {
  return [...operation(name).write(output, "rid")].join("").replace(/^.*\n/, "")
}

test("lists may have gaps and come in any order", () => {
  assert.deepEqual(read("DescribeInstances", "InstanceId.30=c&InstanceId.2=b&InstanceId.1=a"), {
    InstanceIds: ["a", "b", "c"],
  })
  assert.deepEqual(read("DescribeInstances", "Filter.999999999.Name=n&Filter.999999999.Value.7=v"), {
    Filters: [{ Name: "n", Values: ["v"] }],
  })
})

test("EC2 takes empty values for absent ones, save texts", () => {
  assert.deepEqual(read("DescribeInstances", "MaxResults=&DryRun=&InstanceId=&NextToken="), { NextToken: "" })
})

test("required parameters are asked for by their path, at any depth", () => {
  assert.throws(() => read("CreateTags", "Tag.1.Key=a"), {
    code: "MissingParameter",
    message: "The request must contain the parameter ResourceId",
  })
  assert.throws(() => read("DescribeInstances", "InstanceId.1.Name=a"), { code: "UnknownParameter" })
})

test("a parameter that is not known is refused even when its value is empty", () => {
  assert.throws(() => read("DescribeInstances", "Colour="), { code: "UnknownParameter" })
  assert.throws(() => read("DescribeInstances", "InstanceId=i-1"), { code: "UnknownParameter" })
})

test("numbers are exact or refused", () => {
  const good: [string, "Integer" | "Long" | "Double", number][] = [
    ["-2147483648", "Integer", -2147483648],
    ["2147483647", "Integer", 2147483647],
    ["+007", "Integer", 7],
    ["-0", "Integer", 0],
    ["9007199254740991", "Long", 9007199254740991],
    ["1.5e3", "Double", 1500],
    [".5", "Double", 0.5],
  ]
  for (const [text, type, value] of good) assert.equal(readNumber(text, "P", type), value)
  const bad: [string, "Integer" | "Long" | "Double"][] = [
    ["2147483648", "Integer"],
    ["9007199254740993", "Long"],
    ["99999999999999999999", "Long"],
    ["1.0", "Integer"],
    ["1e3", "Long"],
    ["NaN", "Double"],
    ["Infinity", "Double"],
    ["1e999", "Double"],
    [" 1", "Integer"],
    ["", "Integer"],
    ["\u0661", "Integer"],
  ]
  for (const [text, type] of bad) {
    assert.throws(() => readNumber(text, "P", type), { code: "InvalidParameterValue" }, text)
  }
})

test("booleans, blobs and times are strict", () => {
  assert.deepEqual([readBoolean("True", "P"), readBoolean("0", "P")], [true, false])
  assert.throws(() => readBoolean("yes", "P"), { code: "InvalidParameterValue" })
  assert.deepEqual([...readBlob("AP8=", "P")], [0, 255])
  for (const bad of ["AP8", "A===", "AP8=\n", "A-_=", "AP9="]) {
    assert.throws(() => readBlob(bad, "P"), { code: "InvalidParameterValue" }, bad)
  }
  const at = Date.UTC(2026, 1, 3, 4, 5, 6, 700)
  for (const text of ["2026-02-03T04:05:06.7Z", "2026-02-03T05:05:06.700+01:00", "2026-02-03T05:05:06.7000000+0100"]) {
    assert.equal(readTimestamp(text, "P", "date-time").getTime(), at, text)
  }
  assert.equal(readTimestamp("2026-02-03", "P", "date-time").getTime(), Date.UTC(2026, 1, 3))
  assert.equal(readTimestamp("1770091506.7", "P", "epoch-seconds").getTime(), at)
  assert.equal(readTimestamp("Tue, 03 Feb 2026 04:05:06 GMT", "P", "http-date").getTime(), at - 700)
  for (const bad of [
    "2026-02-30T00:00:00Z",
    "2026-13-01",
    "2026-01-01T24:00:01Z",
    "tomorrow",
    "2026-01-01T00:00:00+99:99",
    "",
  ]) {
    assert.throws(() => readTimestamp(bad, "P", "date-time"), { code: "InvalidParameterValue" }, bad)
  }
})

test("absent members are left out, empty lists stand, an operation without output answers true", () => {
  const frame = (name: string, inner: string): string =>
    `<${name}Response xmlns="urn:x"><requestId>rid</requestId>${inner}</${name}Response>`
  assert.equal(write("DescribeVpcs", {}), frame("DescribeVpcs", ""))
  assert.equal(write("DescribeVpcs", { Vpcs: [] }), frame("DescribeVpcs", "<vpcSet/>"))
  assert.equal(
    write("DescribeVpcs", { Vpcs: undefined, NextToken: "a<b" }),
    frame("DescribeVpcs", "<nextToken>a&lt;b</nextToken>"),
  )
  assert.equal(write("CreateTags", {}), frame("CreateTags", "<return>true</return>"))
  assert.throws(() => write("DescribeVolumes", { Volumes: [{ Size: Number.NaN }] }), TypeError)
})

test("a long answer comes in pieces that add up to the same text", () => {
  const one = { ReservationId: "r", Instances: [{ InstanceId: "i", Tags: [{ Key: "k", Value: "v".repeat(1000) }] }] }
  const text = write("DescribeInstances", { Reservations: [one] })
  const element = /<item>.*<\/item>/.exec(text)?.[0] ?? ""
  const pieces = [
    ...operation("DescribeInstances").write({ Reservations: Array.from({ length: 500 }, () => one) }, "rid"),
  ]
  assert.ok(pieces.length > 5, `${pieces.length} pieces`)
  assert.ok(pieces.every((piece) => piece.length < 80_000))
  assert.equal(pieces.join("").replace(/^.*\n/, ""), text.replace(element, element.repeat(500)))
  // The same when all stand in one reservation.
  const nested = { ReservationId: "r", Instances: Array.from({ length: 500 }, () => one.Instances[0]) }
  assert.ok([...operation("DescribeInstances").write({ Reservations: [nested] }, "rid")].length > 5)
})
