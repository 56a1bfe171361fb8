import assert from "node:assert/strict"
import type { RequestLaunchTemplateData } from "@aws-sdk/client-ec2"
import { only, type Replay, tagged, tagsOf } from "./replay.ts"

const LaunchTemplateName = "terraform"

/** A list of one kind of everything that is kept in the order given; structures that are not given stay away. */
const data = (InstanceType: "t3.micro" | "t3.small", SecurityGroupId: string): RequestLaunchTemplateData => ({
  InstanceType,
  ImageId: "ami-0123456789abcdef0",
  UserData: "aGVsbG8=",
  SecurityGroupIds: [SecurityGroupId],
  MetadataOptions: { HttpTokens: "required" },
  Monitoring: { Enabled: true },
  BlockDeviceMappings: [
    { DeviceName: "/dev/sdg", Ebs: { VolumeSize: 2, VolumeType: "gp3" } },
    { DeviceName: "/dev/sdf", Ebs: { DeleteOnTermination: false, VolumeSize: 1 } },
  ],
  TagSpecifications: [tagged("volume", { from: "template" }), tagged("instance", { from: "template" })],
})
const group = "sg-0123456789abcdef0"

/** The codes of a template that is gone. */
const gone = [
  "InvalidLaunchTemplateId.NotFound",
  "InvalidLaunchTemplateId.Malformed",
  "InvalidLaunchTemplateName.NotFoundException",
  "InvalidLaunchTemplateId.VersionNotFound",
]

export const launchTemplate: Replay = {
  resource: "aws_launch_template",
  async create({ ec2 }) {
    const { LaunchTemplate } = await ec2("CreateLaunchTemplate", {
      LaunchTemplateName,
      ClientToken: "terraform-20260102030405000600000001",
      VersionDescription: "first",
      LaunchTemplateData: data("t3.micro", group),
      TagSpecifications: [tagged("launch-template", { step: "first" })],
    })
    // It looks three times whether the template is there to stay.
    for (let look = 0; look < 3; look++) {
      const { LaunchTemplates } = await ec2("DescribeLaunchTemplates", { LaunchTemplateNames: [LaunchTemplateName] })
      assert.equal(LaunchTemplates?.[0]?.LaunchTemplateId, LaunchTemplate?.LaunchTemplateId)
    }
    return LaunchTemplate?.LaunchTemplateId ?? ""
  },
  async read({ ec2 }, id) {
    const find = async () => (await ec2("DescribeLaunchTemplates", { LaunchTemplateIds: [id] })).LaunchTemplates
    const template = await only(find(), ({ LaunchTemplateId }) => LaunchTemplateId === id, gone)
    if (template === undefined) return undefined
    const Versions = [String(template.LatestVersionNumber)]
    const { LaunchTemplateVersions = [] } = await ec2("DescribeLaunchTemplateVersions", {
      LaunchTemplateId: id,
      Versions,
    })
    const [version, ...more] = LaunchTemplateVersions
    assert.deepEqual(more, [])
    return {
      name: template.LaunchTemplateName,
      default_version: template.DefaultVersionNumber,
      latest_version: template.LatestVersionNumber,
      description: version?.VersionDescription,
      data: version?.LaunchTemplateData,
      tags: tagsOf(template.Tags),
    }
  },
  planned: {
    name: LaunchTemplateName,
    default_version: 1,
    latest_version: 1,
    description: "first",
    data: data("t3.micro", group),
    tags: { step: "first" },
  },
  async update({ ec2 }, LaunchTemplateId) {
    await ec2("CreateTags", { Resources: [LaunchTemplateId], Tags: [{ Key: "step", Value: "second" }] })
    const { LaunchTemplateVersion } = await ec2("CreateLaunchTemplateVersion", {
      LaunchTemplateId,
      ClientToken: "terraform-20260102030405000600000002",
      VersionDescription: "second",
      LaunchTemplateData: data("t3.small", group),
    })
    const DefaultVersion = String(LaunchTemplateVersion?.VersionNumber)
    await ec2("ModifyLaunchTemplate", { LaunchTemplateId, DefaultVersion })
  },
  changed: {
    default_version: 2,
    latest_version: 2,
    description: "second",
    data: data("t3.small", group),
    tags: { step: "second" },
  },
  async destroy({ ec2 }, LaunchTemplateId) {
    await ec2("DeleteLaunchTemplate", { LaunchTemplateId })
  },
}
