import assert from "node:assert/strict"
import type { Check } from "./checks.ts"
import type { Done, TestCloud } from "./cloud.ts"

const debian = "/aws/service/debian/release/12/latest/amd64"
const amazon = "/aws/service/ami-amazon-linux-latest"
const small = `${amazon}/al2023-ami-kernel-default-x86_64`

/** The id of the image whose name begins so. */
async function imageOf({ ec2 }: TestCloud, start: string) {
  const { Images = [] } = await ec2("DescribeImages", { Filters: [{ Name: "name", Values: [`${start}*`] }] })
  return Images[0]?.ImageId
}

export const ssm = {
  async GetParameter(cloud) {
    const { ssm, refusalOf } = cloud
    const { Parameter } = await ssm("GetParameter", { Name: debian })
    assert.equal(Parameter?.Value, await imageOf(cloud, "debian-12-"))
    assert.equal(Parameter?.Type, "String")
    assert.equal(Parameter?.DataType, "aws:ec2:image")
    assert.equal(Parameter?.ARN, `arn:aws:ssm:us-east-1::parameter${debian}`)
    assert.ok(Parameter?.LastModifiedDate instanceof Date)
    const { Parameter: first } = await ssm("GetParameter", { Name: `${debian}:1` })
    assert.deepEqual([first?.Value, first?.Selector], [Parameter?.Value, ":1"])
    const { Parameter: byArn } = await ssm("GetParameter", { Name: Parameter?.ARN ?? "" })
    assert.equal(byArn?.Name, debian)
    const refused = (Name: unknown) => refusalOf("ssm", "GetParameter", { Name })
    assert.equal(await refused("/aws/service/nothing"), "400 ParameterNotFound")
    assert.equal(await refused(`${debian}:2`), "400 ParameterVersionNotFound")
    assert.equal(await refused(undefined), "400 ValidationException")
    assert.equal(await refused(7), "400 SerializationException")
    assert.equal(await refused("what is this?"), "400 ValidationException")
    await launchBy(cloud)
  },

  async GetParameters(cloud) {
    const { ssm, refusalOf } = cloud
    const { Parameters, InvalidParameters } = await ssm("GetParameters", { Names: [small, "/no/such", debian] })
    assert.deepEqual(
      Parameters?.map(({ Name, Value }) => [Name, Value]),
      [
        [small, await imageOf(cloud, "fractus-micro-")],
        [debian, await imageOf(cloud, "debian-12-")],
      ],
    )
    assert.deepEqual(InvalidParameters, ["/no/such"])
    const refused = (Names: readonly string[]) => refusalOf("ssm", "GetParameters", { Names })
    assert.equal(await refused([]), "400 ValidationException")
    assert.equal(await refused([debian, debian]), "400 ValidationException")
    assert.equal(await refused(Array.from({ length: 11 }, (_, at) => `/a/${at}`)), "400 ValidationException")
  },

  async GetParametersByPath({ ssm, refusalOf }) {
    const { Parameters: direct = [] } = await ssm("GetParametersByPath", { Path: amazon })
    assert.ok(direct.length >= 4 && direct.every(({ Name }) => Name?.startsWith(`${amazon}/`)))
    const { Parameters: none } = await ssm("GetParametersByPath", { Path: "/aws/service" })
    assert.deepEqual(none, [])
    const all = { Path: "/aws/service/", Recursive: true }
    const names: string[] = []
    let NextToken: string | undefined
    do {
      const page = await ssm("GetParametersByPath", { ...all, MaxResults: 2, ...(NextToken ? { NextToken } : {}) })
      assert.ok((page.Parameters?.length ?? 0) <= 2)
      names.push(...(page.Parameters ?? []).map(({ Name = "" }) => Name))
      NextToken = page.NextToken
    } while (NextToken !== undefined)
    assert.deepEqual(
      names,
      names.toSorted((a, b) => (a < b ? -1 : 1)),
    )
    assert.ok(names.includes(debian) && names.includes(small))
    const ParameterFilters = [{ Key: "Type", Values: ["SecureString"] }]
    assert.deepEqual((await ssm("GetParametersByPath", { ...all, ParameterFilters })).Parameters, [])
    const refused = (more: object) => refusalOf("ssm", "GetParametersByPath", { ...all, ...more })
    assert.equal(await refused({ MaxResults: 11 }), "400 ValidationException")
    assert.equal(await refused({ Path: "aws" }), "400 ValidationException")
    assert.equal(await refused({ NextToken: "abc" }), "400 InvalidNextToken")
    assert.equal(await refused({ ParameterFilters: [{ Key: "Tier", Values: ["7"] }] }), "400 InvalidFilterKey")
  },

  async DescribeParameters({ ssm, refusalOf }) {
    assert.deepEqual((await ssm("DescribeParameters", { MaxResults: 50 })).Parameters, [])
    const refused = (more: object) => refusalOf("ssm", "DescribeParameters", more)
    assert.equal(await refused({ MaxResults: 51 }), "400 ValidationException")
    assert.equal(
      await refused({ ParameterFilters: [{ Key: "Name", Option: "Perhaps", Values: ["a"] }] }),
      "400 InvalidFilterOption",
    )
  },
} satisfies Readonly<Record<Done<"ssm">, Check>>

/** RunInstances takes a parameter's name for the image. */
async function launchBy({ ec2, refusal, launch }: TestCloud): Promise<void> {
  const [id] = await launch({ ImageId: `resolve:ssm:${small}` })
  const { Reservations = [] } = await ec2("DescribeInstances", { InstanceIds: [id] })
  const { Images = [] } = await ec2("DescribeImages", { Filters: [{ Name: "name", Values: ["fractus-micro-*"] }] })
  assert.equal(Reservations[0]?.Instances?.[0]?.ImageId, Images[0]?.ImageId)
  await ec2("TerminateInstances", { InstanceIds: [id] })
  const wrong = { ImageId: "resolve:ssm:/no/such", InstanceType: "t3.micro", MinCount: 1, MaxCount: 1 } as const
  assert.equal(await refusal("RunInstances", wrong), "400 InvalidParameterValue")
}
