/** Buckets as they are stored. Their objects stand in the engine, in a space that no other bucket has, ever. */
import { defineKind, type Tag, type Tagged } from "#cloud/resources/kind.ts"

export interface BucketRecord extends Tagged {
  readonly name: string
  readonly createdMs: number
  /** Of the objects engine. */
  readonly space: string
  /** Its tags. `tags` stays empty: those would be EC2's. */
  readonly tagging?: readonly Tag[]
}

/** Names are everybody's: the id of a bucket is its name. */
export const bucketId = (name: string) => `s3-bucket:${name}`

export const bucketKind = defineKind<BucketRecord>({
  name: "s3-bucket",
  prefix: "s3-bucket",
  schema: 1,
  notFound: ["NoSuchBucket", "The specified bucket does not exist"],
  malformed: ["InvalidBucketName", "The specified bucket is not valid."],
  facets: ({ account }) => ({ owner: account }),
})
