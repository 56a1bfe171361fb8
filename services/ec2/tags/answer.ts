/** Tags as answers show them. */
import type { Tag as AnswerTag } from "@aws-sdk/client-ec2"
import type { Tag } from "#cloud/resources/kind.ts"

export function toTags(tags: readonly Tag[]): AnswerTag[] {
  return tags.map((tag) => ({ Key: tag.key, Value: tag.value }))
}
