import { s3Buckets } from "./s3-buckets.ts"
import { s3Objects } from "./s3-objects.ts"
import { s3Tags } from "./s3-tags.ts"

export const s3Checks = { ...s3Buckets, ...s3Objects, ...s3Tags }
