/** Tags as answers show them. */
import type { Tag as AnswerTag } from "@aws-sdk/client-ec2"
import type { Tag } from "#cloud/resources/kind.ts"

/** Without any, EC2 leaves the list out of most answers. */
export function toTags(tags: readonly Tag[]): AnswerTag[] | undefined {
  return tags.length === 0 ? undefined : tags.map((tag) => ({ Key: tag.key, Value: tag.value }))
}

/** Of internet gateways, route tables, key pairs, rules, interfaces and event windows EC2 shows an empty list too; ansible relies on it. */
export function listTags(tags: readonly Tag[]): AnswerTag[] {
  return toTags(tags) ?? []
}
