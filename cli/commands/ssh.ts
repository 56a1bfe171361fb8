import { existsSync } from "node:fs"
import { join } from "node:path"
import { catalog } from "#images/catalog.ts"
import { readStatus, type Status } from "../daemon/api.ts"
import { requireDaemon } from "../daemon/require.ts"
import { callingUser } from "../caller.ts"
import { Failure, program } from "../failure.ts"
import { homeFiles, existingHome, homeWords } from "../home.ts"
import { runAttached } from "../run-attached.ts"
import { findInPath } from "./aws.ts"

type Instance = Status["instances"][number]

/** The instance of that id or Name tag. A name that several instances bear is refused rather than guessed. */
export const findInstance = (instances: readonly Instance[], wanted: string, home: string): Instance => {
  const list = `${program} status${homeWords(home)}`
  const present = instances.filter(({ state }) => state !== "terminated")
  const found = present.filter(({ id, name }) => id === wanted || name === wanted)
  const [instance] = found
  if (instance === undefined) throw new Failure(1, `there is no instance ${wanted}`, list)
  if (found.length > 1) throw new Failure(1, `${found.length} instances are named ${wanted}; give an id`, list)
  if (instance.state !== "running") {
    const start = `${program} aws${homeWords(home)} ec2 start-instances --instance-ids ${instance.id}`
    throw new Failure(1, `${instance.id} is ${instance.state}`, start)
  }
  if (instance.publicAddress === null) throw new Failure(1, `${instance.id} has no public address`, list)
  return instance
}

/** The private key of a key pair, where `create-key-pair` users put it. */
const keyFile = (keyName: string | null): string | undefined => {
  if (keyName === null || keyName.includes("/")) return undefined
  const folders = [process.cwd(), join(callingUser().home, ".ssh")]
  return folders
    .flatMap((folder) => [join(folder, `${keyName}.pem`), join(folder, keyName)])
    .find((path) => existsSync(path))
}

const loginUser = (image: string): string => catalog.find(({ id }) => id === image)?.loginUser ?? "ec2-user"

/**
 * ssh's words. Host keys are remembered by instance id, not by address: addresses are used again by later instances,
 * and an instance keeps its host key when its address changes.
 */
export const sshArguments = (
  instance: Instance,
  knownHosts: string,
  key: string | undefined,
  rest: readonly string[],
): string[] => [
  "-o",
  "StrictHostKeyChecking=accept-new",
  "-o",
  `UserKnownHostsFile=${knownHosts.replaceAll("%", "%%")}`,
  "-o",
  `HostKeyAlias=${instance.id}`,
  "-o",
  "CheckHostIP=no",
  ...(key === undefined ? [] : ["-i", key]),
  `${loginUser(instance.boots)}@${instance.publicAddress}`,
  ...rest,
]

/** `fractus ssh INSTANCE [ARGS]`: words after the instance are ssh's own (options first, then a command). */
export const ssh = async (
  wanted: string,
  rest: string[],
  options: { home?: string; identity?: string },
): Promise<void> => {
  const home = existingHome(options.home)
  const status = await readStatus(requireDaemon(home).endpoint)
  if (status.engine === "sim") {
    throw new Failure(1, "instances of --engine sim are records: there is nothing to log in to", `sudo ${program} up`)
  }
  const instance = findInstance(status.instances, wanted, home)
  const client = findInPath("ssh")
  if (client === undefined) throw new Failure(3, "no ssh was found", "sudo apt-get install -y openssh-client")
  const key = options.identity ?? keyFile(instance.keyName)
  await runAttached(client, sshArguments(instance, homeFiles(home).knownHosts, key, rest))
}
