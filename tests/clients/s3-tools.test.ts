/** s3cmd, rclone and the JavaScript SDK go through the scenario of S3. The AWS CLIs, which are slow, do so in s3-cli.long.test.ts. */
import { spawnSync } from "node:child_process"
import { rclone } from "./storage/rclone.ts"
import { s3cmd } from "./storage/s3cmd.ts"
import { names, testStorage } from "./storage/scenario.ts"
import { sdkS3 } from "./storage/sdk.ts"

const has = (program: string) => spawnSync(program, ["--version"], { timeout: 30_000 }).status === 0

testStorage([
  { name: "JavaScript SDK", isThere: true, open: (place) => sdkS3(place, names) },
  { name: "s3cmd", isThere: has("s3cmd"), open: s3cmd },
  { name: "rclone", isThere: has("rclone"), open: rclone },
])
