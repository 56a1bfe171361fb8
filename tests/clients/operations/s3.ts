import { s3Buckets } from "./s3-buckets.ts"
import { s3Objects } from "./s3-objects.ts"

export const s3Checks = { ...s3Buckets, ...s3Objects }
