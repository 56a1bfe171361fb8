import { join } from "node:path"
import { runningDaemon } from "../daemon/process.ts"
import { requireCredentials, startCommand } from "../daemon/require.ts"
import { Failure, program } from "../failure.ts"
import { type Config, type Credentials, existingHome, readConfig } from "../home.ts"
import { readProfile } from "../profile/profile.ts"
import { shellQuote } from "../quote.ts"
import { note, print, printJson } from "../terminal.ts"

export type Access = {
  endpoint: string
  region: string
  accessKeyId: string
  secretAccessKey: string
  /** The authority's certificate, where the endpoint is https */
  caBundle?: string
}

/**
 * Endpoint and keys of a home. The keys of a home that root made cannot be read by others, but `sudo fractus up` wrote
 * them to the calling user's AWS profile, so that is the second place to look, when its endpoint is this home's.
 */
export const accessOf = (home: string): Access => {
  const config = readConfig(home)
  if (config === undefined) throw new Failure(1, `${home} has no keys yet: it was never started`, startCommand(home))
  const plain = runningDaemon(home)?.endpoint ?? `http://${config.address}:${config.port}`
  const secure = config.tls ? { caBundle: join(home, "tls", "ca.pem") } : {}
  const endpoint = secureEndpoint(plain, config)
  let credentials: Credentials
  try {
    credentials = requireCredentials(home)
  } catch (error) {
    const profile = readProfile()
    if (!(error instanceof Failure) || profile?.endpoint !== endpoint) throw error
    return { ...profile, ...secure }
  }
  const { region, accessKeyId, secretAccessKey } = credentials
  return { endpoint, region, accessKeyId, secretAccessKey, ...secure }
}

/** The endpoint for clients: by TLS where it is served. */
export const secureEndpoint = (endpoint: string, config: Pick<Config, "tls">): string =>
  config.tls ? endpoint.replace(/^http:/, "https:") : endpoint

/** What has the AWS tools and Node trust the home's authority. It is put into no store of the machine. */
export const trust = ({ caBundle }: Access): Record<string, string> =>
  caBundle === undefined ? {} : { AWS_CA_BUNDLE: caBundle, NODE_EXTRA_CA_CERTS: caBundle }

/** The lines for `eval`: exports and one unset, nothing else, quoted for a POSIX shell. */
export const environmentLines = (access: Access): string[] => {
  const values: [string, string][] = [
    ["AWS_ENDPOINT_URL", access.endpoint],
    ["AWS_ACCESS_KEY_ID", access.accessKeyId],
    ["AWS_SECRET_ACCESS_KEY", access.secretAccessKey],
    ["AWS_DEFAULT_REGION", access.region],
    ["AWS_REGION", access.region],
    ...Object.entries(trust(access)),
  ]
  return [
    ...values.map(([name, value]) => `export ${name}=${shellQuote(value)}`),
    "unset AWS_SESSION_TOKEN AWS_PROFILE",
  ]
}

/** `fractus env`. */
export const env = (options: { home?: string; json?: boolean }): void => {
  const home = existingHome(options.home)
  const access = accessOf(home)
  if (runningDaemon(home) === undefined) note(`${program}: not serving now; to start it: ${startCommand(home)}`)
  if (options.json === true) printJson(access)
  else print(environmentLines(access).join("\n"))
}
