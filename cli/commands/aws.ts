import { existsSync } from "node:fs"
import { join } from "node:path"
import { requireDaemon } from "../daemon/require.ts"
import { Failure, program } from "../failure.ts"
import { existingHome } from "../home.ts"
import { runAttached } from "../run-attached.ts"
import { accessOf, type Access, trust } from "./env.ts"

/** The first program of that name in PATH. */
export const findInPath = (name: string, path = process.env.PATH ?? ""): string | undefined =>
  path
    .split(":")
    .filter((folder) => folder.startsWith("/"))
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file))

/** The caller's environment with our keys: no profile, session token or instance role of theirs can get in between. */
export const awsEnvironment = (access: Access, base: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv => {
  const { AWS_PROFILE: _p, AWS_DEFAULT_PROFILE: _d, AWS_SESSION_TOKEN: _s, AWS_SECURITY_TOKEN: _t, ...rest } = base
  return {
    ...rest,
    AWS_ENDPOINT_URL: access.endpoint,
    AWS_ACCESS_KEY_ID: access.accessKeyId,
    AWS_SECRET_ACCESS_KEY: access.secretAccessKey,
    AWS_DEFAULT_REGION: access.region,
    AWS_REGION: access.region,
    AWS_EC2_METADATA_DISABLED: "true",
    ...trust(access),
  }
}

/** `fractus aws ARGS`: the AWS CLI of this machine against this home. Its exit code is ours. */
export const aws = async (args: string[], options: { home?: string }): Promise<void> => {
  const home = existingHome(options.home)
  const access = accessOf(home)
  const cli = findInPath("aws")
  if (cli === undefined) {
    throw new Failure(3, "no AWS CLI was found", [
      "sudo apt-get update && sudo apt-get install -y --no-install-recommends awscli",
      `pipx install awscli   (where the system has no such package); then: ${program} aws …`,
    ])
  }
  requireDaemon(home)
  // Older CLIs, such as Debian 12's 2.9, do not know AWS_ENDPOINT_URL.
  await runAttached(cli, ["--endpoint-url", access.endpoint, ...args], { env: awsEnvironment(access) })
}
