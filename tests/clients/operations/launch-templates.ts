import assert from "node:assert/strict"
import type { DescribeLaunchTemplateVersionsResult, RequestLaunchTemplateData } from "@aws-sdk/client-ec2"
import type { Checks } from "./checks.ts"
import type { TestCloud } from "./cloud.ts"

const nowhere = "lt-00000000000000000"
const small = { InstanceType: "t3.micro" } as const satisfies RequestLaunchTemplateData

async function newTemplate(
  { ec2, name }: TestCloud,
  LaunchTemplateData: RequestLaunchTemplateData = small,
): Promise<string> {
  const made = await ec2("CreateLaunchTemplate", { LaunchTemplateName: name(), LaunchTemplateData })
  return made.LaunchTemplate?.LaunchTemplateId ?? assert.fail("no template")
}

/** Further versions, each of another image. */
async function addVersions({ ec2 }: TestCloud, LaunchTemplateId: string, count: number): Promise<void> {
  for (let more = 0; more < count; more++)
    await ec2("CreateLaunchTemplateVersion", {
      LaunchTemplateId,
      LaunchTemplateData: { ImageId: `ami-0000000${more}` },
    })
}

async function template({ ec2 }: TestCloud, id: string) {
  const { LaunchTemplates = [] } = await ec2("DescribeLaunchTemplates", { LaunchTemplateIds: [id] })
  return LaunchTemplates[0] ?? assert.fail("no template")
}

async function versions({ ec2 }: TestCloud, LaunchTemplateId: string, more: object = {}) {
  const { LaunchTemplateVersions = [] } = await ec2("DescribeLaunchTemplateVersions", { LaunchTemplateId, ...more })
  return LaunchTemplateVersions
}

const numbersOf = (found: Awaited<ReturnType<typeof versions>>) => found.map(({ VersionNumber }) => VersionNumber)

export const launchTemplates = {
  async CreateLaunchTemplate(cloud) {
    const { ec2, refusal, name, daemon } = cloud
    const operation = "CreateLaunchTemplate"
    const LaunchTemplateName = `${name()}-(1)./_`
    const ClientToken = name().padEnd(128, "x")
    const input = {
      LaunchTemplateName,
      VersionDescription: "first",
      LaunchTemplateData: small,
      ClientToken,
      TagSpecifications: [{ ResourceType: "launch-template" as const, Tags: [{ Key: "team", Value: "red" }] }],
    }
    const { LaunchTemplate: made, Warning } = await ec2(operation, input)
    assert.equal(Warning, undefined)
    assert.match(made?.LaunchTemplateId ?? "", /^lt-[0-9a-f]{17}$/)
    assert.deepEqual(
      [made?.LaunchTemplateName, made?.DefaultVersionNumber, made?.LatestVersionNumber, made?.Tags, made?.CreatedBy],
      [LaunchTemplateName, 1, 1, [{ Key: "team", Value: "red" }], `arn:aws:iam::${daemon.credentials.account}:root`],
    )
    const again = await ec2(operation, input)
    assert.equal(again.LaunchTemplate?.LaunchTemplateId, made?.LaunchTemplateId)
    const refused = (changes: object) =>
      refusal(operation, { LaunchTemplateName: "other", LaunchTemplateData: small, ...changes })
    assert.equal(await refused({ ...input, LaunchTemplateName: "other" }), "400 IdempotentParameterMismatch")
    assert.equal(await refused({ LaunchTemplateName }), "400 InvalidLaunchTemplateName.AlreadyExistsException")
    for (const LaunchTemplateName of ["ab", "a b c", "x".repeat(129), "äbc"])
      assert.equal(await refused({ LaunchTemplateName }), "400 InvalidLaunchTemplateName.MalformedException")
    assert.equal(await refused({ VersionDescription: "x".repeat(256) }), "400 InvalidParameterValue")
    assert.equal(await refused({ LaunchTemplateData: { UserData: "not base64!" } }), "400 InvalidUserData.Malformed")
    const UserData = Buffer.alloc(16_385).toString("base64")
    assert.equal(await refused({ LaunchTemplateData: { UserData } }), "400 InvalidUserData.Malformed")
    const TagSpecifications = [{ ResourceType: "vpc", Tags: [{ Key: "a", Value: "b" }] }]
    assert.equal(await refused({ TagSpecifications }), "400 InvalidParameterValue")
    assert.equal(await refused({ LaunchTemplateData: { TagSpecifications } }), "400 InvalidParameterValue")
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")

    // What no launch could do is told, and the template made: a launch may say otherwise.
    const odd = { LaunchTemplateName: name(), LaunchTemplateData: { KernelId: "aki-12345678" } }
    const { Warning: told } = await ec2(operation, odd)
    assert.equal(told?.Errors?.[0]?.Code, "UnsupportedOperation")
    assert.match(told?.Errors?.[0]?.Message ?? "", /RunInstances with KernelId/)
  },

  async CreateLaunchTemplateVersion(cloud) {
    const { ec2, refusal, name } = cloud
    const operation = "CreateLaunchTemplateVersion"
    const mapping = (SnapshotId?: string) => ({ DeviceName: "/dev/sdf", Ebs: { VolumeSize: 3, SnapshotId } })
    const LaunchTemplateId = await newTemplate(cloud, {
      ...small,
      Monitoring: { Enabled: true },
      BlockDeviceMappings: [mapping("snap-12345678")],
      TagSpecifications: [{ ResourceType: "instance", Tags: [{ Key: "of", Value: "one" }] }],
    })
    const add = (LaunchTemplateData: RequestLaunchTemplateData, more: object = {}) =>
      ec2(operation, { LaunchTemplateId, LaunchTemplateData, ...more })
    const token = { ClientToken: name(), VersionDescription: "two" }
    const { LaunchTemplateVersion: second } = await add({ ImageId: "ami-12345678" }, token)
    assert.deepEqual(
      [second?.VersionNumber, second?.DefaultVersion, second?.VersionDescription, second?.LaunchTemplateData],
      [2, false, "two", { ImageId: "ami-12345678" }],
    )
    assert.deepEqual((await add({ ImageId: "ami-12345678" }, token)).LaunchTemplateVersion, second)
    // What is given takes the place of the source's; its snapshots are left behind.
    const { LaunchTemplateVersion: third } = await add(
      { InstanceType: "t3.nano", Monitoring: { Enabled: false } },
      { SourceVersion: "1" },
    )
    const { BlockDeviceMappings, TagSpecifications, ...others } = third?.LaunchTemplateData ?? {}
    assert.deepEqual(others, { InstanceType: "t3.nano", Monitoring: { Enabled: false } })
    assert.deepEqual(BlockDeviceMappings, [{ DeviceName: "/dev/sdf", Ebs: { VolumeSize: 3 } }])
    assert.deepEqual(TagSpecifications, [{ ResourceType: "instance", Tags: [{ Key: "of", Value: "one" }] }])
    const latest = await add({ KeyName: "k" }, { SourceVersion: "$Latest" })
    assert.equal(latest.LaunchTemplateVersion?.LaunchTemplateData?.InstanceType, "t3.nano")
    const VCpuCount = { Min: 1 }
    const requirements = { InstanceRequirements: { VCpuCount, MemoryMiB: { Min: 1 } } }
    const { LaunchTemplateVersion: byNeed } = await add(requirements, { SourceVersion: "1" })
    assert.equal(byNeed?.LaunchTemplateData?.InstanceType, undefined)
    assert.deepEqual(byNeed?.LaunchTemplateData?.InstanceRequirements?.VCpuCount, VCpuCount)
    assert.equal((await template(cloud, LaunchTemplateId)).DefaultVersionNumber, 1)
    assert.equal((await template(cloud, LaunchTemplateId)).LatestVersionNumber, 5)

    // A parameter for an image is shown as it is, or as what it means.
    const ImageId = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    const byAlias = await add({ ImageId }, { ResolveAlias: true })
    assert.equal(byAlias.LaunchTemplateVersion?.LaunchTemplateData?.ImageId, cloud.image)
    const [kept] = await versions(cloud, LaunchTemplateId, { Versions: ["6"] })
    assert.equal(kept?.LaunchTemplateData?.ImageId, ImageId)

    const refused = (changes: object) => refusal(operation, { LaunchTemplateId, LaunchTemplateData: small, ...changes })
    assert.equal(await refused({ SourceVersion: "9" }), "400 InvalidLaunchTemplateId.VersionNotFound")
    assert.equal(await refused({ SourceVersion: "none" }), "400 InvalidParameterValue")
    assert.equal(
      await refused({ LaunchTemplateData: { ...small, ...requirements } }),
      "400 InvalidParameterCombination",
    )
    assert.equal(await refused({ LaunchTemplateId: nowhere }), "400 InvalidLaunchTemplateId.NotFound")
    assert.equal(await refused({ LaunchTemplateId: "lt-1" }), "400 InvalidLaunchTemplateId.Malformed")
    assert.equal(await refused({ LaunchTemplateName: "both" }), "400 InvalidParameterCombination")
    assert.equal(await refused({ LaunchTemplateId: undefined }), "400 MissingParameter")
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")
    assert.equal((await template(cloud, LaunchTemplateId)).LatestVersionNumber, 6)
  },

  async DescribeLaunchTemplates(cloud) {
    const { ec2, refusal } = cloud
    const operation = "DescribeLaunchTemplates"
    const ids = [await newTemplate(cloud), await newTemplate(cloud)]
    const [first = "", second = ""] = ids
    await ec2("CreateTags", { Resources: [second], Tags: [{ Key: "own", Value: second }] })
    const LaunchTemplateName = (await template(cloud, first)).LaunchTemplateName ?? ""
    const found = async (input: object) =>
      (await ec2(operation, input)).LaunchTemplates?.map(({ LaunchTemplateId }) => LaunchTemplateId)
    assert.deepEqual(await found({ LaunchTemplateIds: ids }), ids)
    assert.deepEqual(await found({ LaunchTemplateNames: [LaunchTemplateName] }), [first])
    assert.deepEqual(await found({ Filters: [{ Name: "launch-template-name", Values: [LaunchTemplateName] }] }), [
      first,
    ])
    assert.deepEqual(await found({ Filters: [{ Name: "tag:own", Values: [second] }] }), [second])
    const { LaunchTemplates = [], NextToken } = await ec2(operation, { MaxResults: 1 })
    assert.equal(LaunchTemplates.length, 1)
    assert.notEqual(NextToken, undefined)
    for (const MaxResults of [0, 201])
      assert.equal(await refusal(operation, { MaxResults }), "400 InvalidParameterValue")
    assert.equal(
      await refusal(operation, { LaunchTemplateNames: [LaunchTemplateName, "no-such-template"] }),
      "400 InvalidLaunchTemplateName.NotFoundException",
    )
    assert.equal(
      await refusal(operation, { LaunchTemplateNames: ["?"] }),
      "400 InvalidLaunchTemplateName.MalformedException",
    )
  },

  async DescribeLaunchTemplateVersions(cloud) {
    const { ec2, refusal } = cloud
    const operation = "DescribeLaunchTemplateVersions"
    const id = await newTemplate(cloud)
    await addVersions(cloud, id, 4)
    await ec2("ModifyLaunchTemplate", { LaunchTemplateId: id, DefaultVersion: "2" })
    const numbers = async (more: object = {}) => numbersOf(await versions(cloud, id, more))
    assert.deepEqual(await numbers(), [1, 2, 3, 4, 5])
    assert.deepEqual(await numbers({ Versions: ["$Latest", "$Default", "1", "1"] }), [1, 2, 5])
    assert.deepEqual(await numbers({ MinVersion: "2", MaxVersion: "3" }), [2, 3])
    assert.deepEqual(await numbers({ MinVersion: "4" }), [4, 5])
    assert.deepEqual(await numbers({ MinVersion: "4", MaxVersion: "3" }), [])
    assert.deepEqual(await numbers({ MinVersion: "6" }), [])
    assert.deepEqual(await numbers({ MaxVersion: "9999999999" }), [1, 2, 3, 4, 5])
    assert.deepEqual(await numbers({ Filters: [{ Name: "is-default-version", Values: ["true"] }] }), [2])
    assert.deepEqual(await numbers({ Filters: [{ Name: "image-id", Values: ["ami-0000000[0-3]"] }] }), [])
    assert.deepEqual(await numbers({ Filters: [{ Name: "image-id", Values: ["ami-0000000?"] }] }), [2, 3, 4, 5])
    const seen: (number | undefined)[] = []
    let NextToken: string | undefined
    do {
      const page: DescribeLaunchTemplateVersionsResult = await ec2(operation, {
        LaunchTemplateId: id,
        MaxResults: 2,
        NextToken,
      })
      seen.push(...(page.LaunchTemplateVersions ?? []).map(({ VersionNumber }) => VersionNumber))
      NextToken = page.NextToken
    } while (NextToken !== undefined)
    assert.deepEqual(seen, [1, 2, 3, 4, 5])
    // Of all templates: one row for each and alias, which may be the same.
    const all = await ec2(operation, { Versions: ["$Latest", "$Default"] })
    const own = (all.LaunchTemplateVersions ?? []).filter(({ LaunchTemplateId }) => LaunchTemplateId === id)
    assert.deepEqual(numbersOf(own), [2, 5])
    const { LaunchTemplates = [] } = await ec2("DescribeLaunchTemplates", {})
    const { LaunchTemplateVersions: latest = [] } = await ec2(operation, { Versions: ["$Latest"] })
    assert.equal(latest.length, LaunchTemplates.length)

    const refused = (more: object) => refusal(operation, { LaunchTemplateId: id, ...more })
    assert.equal(await refused({ Versions: ["6"] }), "400 InvalidLaunchTemplateId.VersionNotFound")
    assert.equal(await refused({ Versions: ["0"] }), "400 InvalidParameterValue")
    assert.equal(await refused({ Versions: ["1"], MinVersion: "1" }), "400 InvalidParameterCombination")
    assert.equal(await refused({ MinVersion: "x" }), "400 InvalidParameterValue")
    assert.equal(await refused({ LaunchTemplateId: undefined, Versions: ["1"] }), "400 InvalidParameterValue")
    assert.equal(await refused({ LaunchTemplateId: undefined }), "400 MissingParameter")
    assert.equal(await refused({ LaunchTemplateId: nowhere }), "400 InvalidLaunchTemplateId.NotFound")
    const unnamed = { LaunchTemplateId: undefined, LaunchTemplateName: "no-such-template" }
    assert.equal(await refused(unnamed), "400 InvalidLaunchTemplateName.NotFoundException")
  },

  async ModifyLaunchTemplate(cloud) {
    const { ec2, refusal, name } = cloud
    const operation = "ModifyLaunchTemplate"
    const LaunchTemplateId = await newTemplate(cloud)
    await addVersions(cloud, LaunchTemplateId, 1)
    const input = { LaunchTemplateId, DefaultVersion: "2", ClientToken: name() }
    assert.equal((await ec2(operation, input)).LaunchTemplate?.DefaultVersionNumber, 2)
    await ec2(operation, { LaunchTemplateId, DefaultVersion: "1" })
    assert.deepEqual(
      (await versions(cloud, LaunchTemplateId)).map(({ DefaultVersion }) => DefaultVersion),
      [true, false],
    )
    // A call that is sent again does nothing.
    assert.equal((await ec2(operation, input)).LaunchTemplate?.DefaultVersionNumber, 1)
    const refused = (more: object) => refusal(operation, { LaunchTemplateId, DefaultVersion: "2", ...more })
    assert.equal(await refused({ DefaultVersion: "3" }), "400 InvalidLaunchTemplateId.VersionNotFound")
    assert.equal(await refused({ DefaultVersion: undefined }), "400 MissingParameter")
    assert.equal(await refused({ LaunchTemplateId: nowhere }), "400 InvalidLaunchTemplateId.NotFound")
    assert.equal(await refused({ DryRun: true }), "412 DryRunOperation")
  },

  async DeleteLaunchTemplate(cloud) {
    const { ec2, refusal } = cloud
    const operation = "DeleteLaunchTemplate"
    const LaunchTemplateId = await newTemplate(cloud)
    await addVersions(cloud, LaunchTemplateId, 1)
    const LaunchTemplateName = (await template(cloud, LaunchTemplateId)).LaunchTemplateName ?? ""
    assert.equal(await refusal(operation, { LaunchTemplateName, DryRun: true }), "412 DryRunOperation")
    const { LaunchTemplate } = await ec2(operation, { LaunchTemplateName })
    assert.equal(LaunchTemplate?.LaunchTemplateId, LaunchTemplateId)
    assert.equal(await refusal(operation, { LaunchTemplateId }), "400 InvalidLaunchTemplateId.NotFound")
    assert.equal(await refusal(operation, { LaunchTemplateName }), "400 InvalidLaunchTemplateName.NotFoundException")
    // Its name is free, its versions are gone.
    await ec2("CreateLaunchTemplate", { LaunchTemplateName, LaunchTemplateData: small })
    const { LaunchTemplateVersions: all = [] } = await ec2("DescribeLaunchTemplateVersions", {
      Versions: ["$Latest", "$Default"],
    })
    assert.deepEqual(
      all.filter((version) => version.LaunchTemplateId === LaunchTemplateId),
      [],
    )
  },

  async DeleteLaunchTemplateVersions(cloud) {
    const { ec2, refusal } = cloud
    const operation = "DeleteLaunchTemplateVersions"
    const LaunchTemplateId = await newTemplate(cloud)
    await addVersions(cloud, LaunchTemplateId, 3)
    const input = { LaunchTemplateId, Versions: ["4", "1", "9", "3"] }
    assert.equal(await refusal(operation, { ...input, DryRun: true }), "412 DryRunOperation")
    const { SuccessfullyDeletedLaunchTemplateVersions: gone, UnsuccessfullyDeletedLaunchTemplateVersions: kept } =
      await ec2(operation, input)
    assert.deepEqual(
      gone?.map(({ VersionNumber }) => VersionNumber),
      [4, 3],
    )
    assert.deepEqual(
      kept?.map((each) => [each.VersionNumber, each.ResponseError?.Code]),
      [
        [1, "unexpectedError"],
        [9, "launchTemplateVersionDoesNotExist"],
      ],
    )
    assert.deepEqual(numbersOf(await versions(cloud, LaunchTemplateId)), [1, 2])
    assert.equal((await template(cloud, LaunchTemplateId)).LatestVersionNumber, 2)
    assert.deepEqual(numbersOf(await versions(cloud, LaunchTemplateId, { Versions: ["$Latest"] })), [2])
    // A number is given once.
    await addVersions(cloud, LaunchTemplateId, 1)
    assert.deepEqual(numbersOf(await versions(cloud, LaunchTemplateId)), [1, 2, 5])
    assert.equal(await refusal(operation, { LaunchTemplateId, Versions: [] }), "400 MissingParameter")
    assert.equal(await refusal(operation, { LaunchTemplateId, Versions: ["$Latest"] }), "400 InvalidParameterValue")
    const many = Array.from({ length: 201 }, (_, index) => String(index + 1))
    assert.equal(await refusal(operation, { LaunchTemplateId, Versions: many }), "400 InvalidParameterValue")
    assert.equal(
      await refusal(operation, { LaunchTemplateId: nowhere, Versions: ["1"] }),
      "400 InvalidLaunchTemplateId.NotFound",
    )
  },

  async GetLaunchTemplateData(cloud) {
    const { ec2, refusal, launch, name } = cloud
    const operation = "GetLaunchTemplateData"
    const Tags = [{ Key: "of", Value: "one" }]
    const [InstanceId] = await launch({
      UserData: "aGVsbG8=",
      DisableApiStop: true,
      MetadataOptions: { HttpTokens: "required", HttpPutResponseHopLimit: 3 },
      BlockDeviceMappings: [{ DeviceName: "/dev/sdf", Ebs: { VolumeSize: 3, VolumeType: "gp3" } }],
      TagSpecifications: [{ ResourceType: "instance", Tags }],
    })
    const { LaunchTemplateData: data = {} } = await ec2(operation, { InstanceId })
    assert.deepEqual(
      [data.ImageId, data.InstanceType, data.UserData, data.DisableApiStop, data.MetadataOptions?.HttpTokens],
      [cloud.image, "t3.micro", "aGVsbG8=", true, "required"],
    )
    assert.equal(data.CreditSpecification?.CpuCredits, "unlimited")
    assert.deepEqual(data.TagSpecifications, [{ ResourceType: "instance", Tags }])
    const second = data.BlockDeviceMappings?.[1]
    assert.deepEqual([second?.DeviceName, second?.Ebs?.VolumeSize, second?.Ebs?.Throughput], ["/dev/sdf", 3, 125])
    const [entry] = data.NetworkInterfaces ?? []
    assert.match(entry?.PrivateIpAddress ?? "", /^172\.31\./)
    // It is a template, but for the interface that is in use.
    const { NetworkInterfaceId: _, PrivateIpAddress: __, PrivateIpAddresses: ___, ...free } = entry ?? {}
    const LaunchTemplateData = { ...data, NetworkInterfaces: [free] } as RequestLaunchTemplateData
    const made = await ec2("CreateLaunchTemplate", { LaunchTemplateName: name(), LaunchTemplateData })
    assert.equal(made.Warning, undefined)
    const LaunchTemplateId = made.LaunchTemplate?.LaunchTemplateId ?? ""
    const { Instances: [twin] = [] } = await ec2("RunInstances", {
      LaunchTemplate: { LaunchTemplateId },
      MinCount: 1,
      MaxCount: 1,
    })
    assert.equal(twin?.MetadataOptions?.HttpPutResponseHopLimit, 3)
    const missing = { InstanceId: "i-00000000000000000" }
    assert.equal(await refusal(operation, missing), "400 InvalidInstanceID.NotFound")
    assert.equal(await refusal(operation, { InstanceId, DryRun: true }), "412 DryRunOperation")
  },
} satisfies Checks
