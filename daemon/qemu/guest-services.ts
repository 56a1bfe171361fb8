/** Starts metadata and names of the guests, or goes on with those that run. */
import { randomBytes } from "node:crypto"
import { chownSync, existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { supervise, type Supervised } from "#host/supervise/supervise.ts"
import type { Log } from "#host/types.ts"
import type { Config } from "../config.ts"
import { codeAt, fewHeaps, isInside, tree, youngObjects } from "./code.ts"
import { relaySocket } from "./name-relay.ts"
import type { Stack } from "./stack.ts"

/** `directory` holds the documents. */
export async function startGuestServices(
  stack: Stack,
  config: Config,
  directory: string,
  log: Log,
): Promise<Supervised> {
  const { guestServices } = stack.slot.uids
  const { infrastructureNamespace: namespace } = stack.network
  ensureTokenKey(join(directory, "token.key"), guestServices)
  const compiled = join(config.home, "compiled")
  mkdirSync(compiled, { recursive: true, mode: 0o700 })
  chownSync(compiled, guestServices, guestServices)
  const place = isInside(config.home) ? join(stack.runDirectory, "guest-services-code") : tree
  const seen = codeAt(place)
  return supervise({
    name: "guest-services",
    argv: [
      seen(process.execPath),
      ...youngObjects,
      // It reaches one function of the C library through node:ffi: the hop limit of metadata answers.
      "--disable-warning=ExperimentalWarning",
      seen(join(tree, "guest-services/main.ts")),
      "--directory",
      directory,
      "--public-cidr",
      stack.publicCidr,
      "--relay",
      relaySocket(stack),
    ],
    uid: guestServices,
    gid: guestServices,
    ...(namespace === undefined ? {} : { namespace }),
    bindMounts: [
      { from: compiled, to: join(stack.runDirectory, "compiled"), readOnly: false },
      ...(place === tree ? [] : [{ from: tree, to: place, readOnly: true }]),
    ],
    env: { ...fewHeaps, NODE_COMPILE_CACHE: join(stack.runDirectory, "compiled") },
    log,
    runDirectory: join(stack.runDirectory, "processes"),
    existing: "keep",
  })
}

/** Signs the guests' metadata tokens; kept while the home runs, so that tokens outlive a restart of the service. */
function ensureTokenKey(path: string, gid: number): void {
  if (existsSync(path)) return
  writeFileSync(`${path}.new`, randomBytes(32), { mode: 0o640, flush: true })
  chownSync(`${path}.new`, 0, gid)
  renameSync(`${path}.new`, path)
}
