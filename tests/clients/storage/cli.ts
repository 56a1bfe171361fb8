import { join } from "node:path"
import { startRuns } from "../scenario/cli.ts"
import type { Place, Tool } from "./tool.ts"

/** `aws s3` of one release, "2.9.19". */
export function awsS3({ daemon, folder }: Place, program: string, version: string): Tool {
  const runs = startRuns(program, version, { ...daemon.env, HOME: folder })
  const s3 = async (...argv: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await runs.run(["--endpoint-url", daemon.endpoint, "s3", ...argv])
    if (status !== 0) throw new Error(stderr)
    return stdout
  }
  const url = (bucket: string, key = "") => `s3://${bucket}/${key}`
  return {
    makeBucket: (bucket) => s3("mb", url(bucket)),
    upload: (bucket) => s3("cp", "--recursive", "--quiet", join(folder, "from"), url(bucket)),
    download: (bucket, to) => s3("cp", "--recursive", "--quiet", url(bucket), to),
    copy: (bucket, from, to) => s3("cp", url(bucket, from), url(bucket, to)),
    remove: (bucket, key) => s3("rm", url(bucket, key)),
    async list(bucket) {
      const lines = (await s3("ls", "--recursive", url(bucket))).trimEnd().split("\n")
      // A day, a time, a size.
      return lines.map((line) => line.replace(/^\S+ \S+ +\d+ /, "")).toSorted()
    },
    presigned: async (bucket, key) => (await s3("presign", url(bucket, key), "--expires-in", "600")).trim(),
    missing: (bucket) => s3("cp", url(bucket, "none"), join(folder, "none")),
    removeBucket: (bucket) => s3("rb", "--force", url(bucket)),
    close: () => runs.close(),
  }
}
