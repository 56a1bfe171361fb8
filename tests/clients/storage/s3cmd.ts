import { join } from "node:path"
import { type Place, run, type Tool } from "./tool.ts"

/** Options that say all, so that no configuration of the machine's user gets in. */
export function s3cmd(place: Place): Tool {
  const { daemon, folder } = place
  const { host } = new URL(daemon.endpoint)
  const { accessKeyId, secretAccessKey } = daemon.credentials
  const options = ["--no-ssl", `--host=${host}`, `--host-bucket=${host}`, "--region=us-east-1", "--config=/dev/null"]
  const keys = [`--access_key=${accessKeyId}`, `--secret_key=${secretAccessKey}`]
  const s3 = (...argv: readonly string[]) => run(place, "s3cmd", [...options, ...keys, "--no-progress", ...argv])
  return {
    makeBucket: (bucket) => s3("mb", `s3://${bucket}`),
    upload: (bucket) => s3("put", "--recursive", "--multipart-chunk-size-mb=5", `${folder}/from/`, `s3://${bucket}/`),
    download: (bucket, to) => s3("get", "--recursive", `s3://${bucket}/`, `${to}/`),
    copy: (bucket, from, to) => s3("cp", `s3://${bucket}/${from}`, `s3://${bucket}/${to}`),
    remove: (bucket, key) => s3("del", `s3://${bucket}/${key}`),
    async list(bucket) {
      const lines = (await s3("ls", "--recursive", `s3://${bucket}`)).trimEnd().split("\n")
      return lines.map((line) => line.slice(line.indexOf(`s3://${bucket}/`) + bucket.length + 6)).toSorted()
    },
    presigned: async (bucket, key) => (await s3("signurl", `s3://${bucket}/${key}`, "+600")).trim(),
    missing: (bucket) => s3("get", `s3://${bucket}/none`, join(folder, "none")),
    removeBucket: (bucket) => s3("rb", "--recursive", "--force", `s3://${bucket}`),
  }
}
