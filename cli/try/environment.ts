import { join } from "node:path"
import type { Access } from "../commands/env.ts"

/** What a caller may have set for the AWS tools that says nothing of whose cloud it is. */
const kept = /^AWS_(PAGER|MAX_ATTEMPTS|RETRY_MODE|DEFAULT_OUTPUT|CLI_\w+)$/

/** Variables of the AWS tools, of old boto, and one of ours. */
const foreign = /^(AWS_|BOTO_|FRACTUS_HOME$)/

const withLoopback = (list: string | undefined): string =>
  [...new Set([...(list ?? "").split(",").filter((entry) => entry !== ""), "127.0.0.1"])].join(",")

/**
 * The changes to the environment `base` that point every AWS tool to this cloud and nowhere else: values to set, and null for
 * variables that must go. Config and credentials files are named that are not there, so that no profile of the caller gets in;
 * a proxy is told to leave the endpoint alone. `fractus` itself means this cloud by FRACTUS_HOME.
 */
export const tryEnvironment = (
  access: Access,
  home: string,
  base: NodeJS.ProcessEnv = process.env,
): Record<string, string | null> => {
  const gone = Object.keys(base).filter((name) => foreign.test(name) && !kept.test(name))
  return {
    ...Object.fromEntries(gone.map((name) => [name, null])),
    AWS_ENDPOINT_URL: access.endpoint,
    AWS_ACCESS_KEY_ID: access.accessKeyId,
    AWS_SECRET_ACCESS_KEY: access.secretAccessKey,
    AWS_DEFAULT_REGION: access.region,
    AWS_REGION: access.region,
    AWS_CONFIG_FILE: join(home, "aws-config"),
    AWS_SHARED_CREDENTIALS_FILE: join(home, "aws-credentials"),
    AWS_EC2_METADATA_DISABLED: "true",
    FRACTUS_HOME: home,
    NO_PROXY: withLoopback(base.NO_PROXY),
    no_proxy: withLoopback(base.no_proxy),
  }
}

/** `base` with those changes made. */
export const changedEnvironment = (
  changes: Readonly<Record<string, string | null>>,
  base: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv => {
  const env = { ...base }
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) delete env[name]
    else env[name] = value
  }
  return env
}
