/** Launch templates and versions as answers show them. */
import type { LaunchTemplate as Shown, LaunchTemplateVersion as ShownVersion } from "@aws-sdk/client-ec2"
import { listTags } from "../tags/answer.ts"
import { fromData, type TemplateData } from "./data.ts"
import type { LaunchTemplate, LaunchTemplateVersion } from "./find.ts"

export function toTemplate({ id, record }: LaunchTemplate): Shown {
  return {
    LaunchTemplateId: id,
    LaunchTemplateName: record.name,
    CreateTime: new Date(record.createdMs),
    CreatedBy: record.createdBy,
    DefaultVersionNumber: record.defaultVersion,
    LatestVersionNumber: record.latestVersion,
    Tags: listTags(record.tags),
  }
}

/** `data` where the answer shows another than the record's: with its image's alias resolved. */
export function toVersion({ record }: LaunchTemplateVersion, data: TemplateData = record.data): ShownVersion {
  return {
    LaunchTemplateId: record.template,
    LaunchTemplateName: record.name,
    VersionNumber: record.number,
    CreateTime: new Date(record.createdMs),
    CreatedBy: record.createdBy,
    DefaultVersion: record.isDefault,
    LaunchTemplateData: fromData(data),
    ...(record.description === undefined ? {} : { VersionDescription: record.description }),
  }
}
