import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { type Caller, callingUser } from "../caller.ts"
import { setInSection, valueInSection } from "./section.ts"

/** Name of the profile in the AWS files. */
export const profileName = "fractus"

export type Profile = {
  endpoint: string
  region: string
  accessKeyId: string
  secretAccessKey: string
  caBundle?: string
}

/** Where this user's AWS files are. */
export const profileFiles = (
  caller: Caller,
  env: NodeJS.ProcessEnv = process.env,
): { config: string; credentials: string } => {
  const file = (variable: string | undefined, name: string): string =>
    variable === undefined || variable === ""
      ? join(caller.home, ".aws", name)
      : variable.replace(/^~(?=\/)/, caller.home)
  return {
    config: file(env.AWS_CONFIG_FILE, "config"),
    credentials: file(env.AWS_SHARED_CREDENTIALS_FILE, "credentials"),
  }
}

const readText = (path: string): string => (existsSync(path) ? readFileSync(path, "utf8") : "")

/** Replaces the file in one step. A link (dotfiles are often links) stays one; secrets are never readable by others. */
const replaceFile = (path: string, text: string, secret: boolean): void => {
  const target = existsSync(path) ? realpathSync(path) : path
  const mode = existsSync(target) && !secret ? statSync(target).mode & 0o777 : 0o600
  const temporary = `${target}.${process.pid}.fractus`
  try {
    writeFileSync(temporary, text, { mode, flag: "wx", flush: true })
    renameSync(temporary, target)
  } finally {
    rmSync(temporary, { force: true })
  }
}

const edit = (path: string, section: string, values: Record<string, string | undefined>, secret: boolean): boolean => {
  const before = readText(path)
  const after = setInSection(before, section, values)
  if (after === before) return false
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  replaceFile(path, after, secret)
  return true
}

/** Does the work with the caller's own rights: root must not follow links that a user laid in their home. */
const asCaller = <T>(caller: Caller, work: () => T): T => {
  if (!caller.underSudo) return work()
  const groups = process.getgroups?.() ?? []
  const group = process.getegid?.() ?? 0
  process.setgroups?.([caller.gid])
  process.setegid?.(caller.gid)
  process.seteuid?.(caller.uid)
  try {
    return work()
  } finally {
    process.seteuid?.(0)
    process.setegid?.(group)
    process.setgroups?.(groups)
  }
}

/**
 * Writes the profile `fractus` of the calling user: endpoint_url and region to the config file, the keys to the
 * credentials file. No other line of either changes; says whether anything did.
 */
export const writeProfile = (
  profile: Profile,
  caller = callingUser(),
  env: NodeJS.ProcessEnv = process.env,
): boolean => {
  const files = profileFiles(caller, env)
  return asCaller(caller, () => {
    const keys = {
      aws_access_key_id: profile.accessKeyId,
      aws_secret_access_key: profile.secretAccessKey,
      aws_session_token: undefined, // a left-over token would make the keys useless
    }
    const credentialsChanged = edit(files.credentials, profileName, keys, true)
    const place = { endpoint_url: profile.endpoint, region: profile.region, ca_bundle: profile.caBundle }
    return edit(files.config, `profile ${profileName}`, place, false) || credentialsChanged
  })
}

/** The profile as it stands, when it is complete. */
export const readProfile = (caller = callingUser(), env: NodeJS.ProcessEnv = process.env): Profile | undefined => {
  const files = profileFiles(caller, env)
  const [config, credentials] = [readText(files.config), readText(files.credentials)]
  const endpoint = valueInSection(config, `profile ${profileName}`, "endpoint_url")
  const region = valueInSection(config, `profile ${profileName}`, "region")
  const accessKeyId = valueInSection(credentials, profileName, "aws_access_key_id")
  const secretAccessKey = valueInSection(credentials, profileName, "aws_secret_access_key")
  if (endpoint === undefined || region === undefined) return undefined
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined
  return { endpoint, region, accessKeyId, secretAccessKey }
}
