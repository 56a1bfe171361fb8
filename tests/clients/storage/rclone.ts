import { join } from "node:path"
import { type Place, run, type Tool } from "./tool.ts"

/** Settings by the environment, so that no configuration of the machine's user gets in. */
export function rclone(place: Place): Tool {
  const { daemon, folder } = place
  const { accessKeyId, secretAccessKey } = daemon.credentials
  const settings = {
    RCLONE_CONFIG: "/dev/null",
    RCLONE_CONFIG_HERE_TYPE: "s3",
    RCLONE_CONFIG_HERE_PROVIDER: "Other",
    RCLONE_CONFIG_HERE_ENDPOINT: daemon.endpoint,
    RCLONE_CONFIG_HERE_REGION: "us-east-1",
    RCLONE_CONFIG_HERE_ACCESS_KEY_ID: accessKeyId,
    RCLONE_CONFIG_HERE_SECRET_ACCESS_KEY: secretAccessKey,
    RCLONE_S3_UPLOAD_CUTOFF: "5Mi",
    RCLONE_S3_CHUNK_SIZE: "5Mi",
    RCLONE_RETRIES: "1",
    RCLONE_LOW_LEVEL_RETRIES: "1",
  }
  const rc = (...argv: readonly string[]) => run(place, "rclone", argv, settings)
  return {
    makeBucket: (bucket) => rc("mkdir", `here:${bucket}`),
    upload: (bucket) => rc("copy", join(folder, "from"), `here:${bucket}`),
    download: (bucket, to) => rc("copy", `here:${bucket}`, to),
    copy: (bucket, from, to) => rc("copyto", `here:${bucket}/${from}`, `here:${bucket}/${to}`),
    remove: (bucket, key) => rc("deletefile", `here:${bucket}/${key}`),
    list: async (bucket) =>
      (await rc("lsf", "--recursive", "--files-only", `here:${bucket}`)).trimEnd().split("\n").toSorted(),
    presigned: async (bucket, key) => (await rc("link", "--expire", "10m", `here:${bucket}/${key}`)).trim(),
    missing: (bucket) => rc("deletefile", `here:${bucket}/none`),
    removeBucket: (bucket) => rc("purge", `here:${bucket}`),
  }
}
