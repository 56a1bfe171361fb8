/** Tags as answers show them: without any, EC2 leaves the list out. */
import type { Tag as AnswerTag } from "@aws-sdk/client-ec2"
import type { Tag } from "#cloud/resources/kind.ts"

export function toTags(tags: readonly Tag[]): AnswerTag[] | undefined {
  return tags.length === 0 ? undefined : tags.map((tag) => ({ Key: tag.key, Value: tag.value }))
}
