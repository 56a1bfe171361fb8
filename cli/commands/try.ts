import { once } from "node:events"
import { constants } from "node:os"
import { readStatus } from "../daemon/api.ts"
import { codeOf, Failure, program } from "../failure.ts"
import { runAttached } from "../run-attached.ts"
import { note, print } from "../terminal.ts"
import { openCloud, type ThrowawayCloud } from "../try/cloud.ts"
import { changedEnvironment, tryEnvironment } from "../try/environment.ts"

type Options = { engine: "sim" | "qemu"; json?: boolean }

/** What a shell answers for a command that is not there, and for one that cannot be run. */
const exitCodes: Record<string, number> = { ENOENT: 127, EACCES: 126 }

/**
 * `fractus try -- COMMAND`: runs it against a throwaway cloud. Its exit code is ours (128 + number for a signal). With --json
 * instead of a command the cloud is printed as one line and serves until standard input ends or a signal comes.
 */
export const tryOut = async (command: readonly string[], { engine, json = false }: Options): Promise<void> => {
  const [file, ...argv] = command
  if ((file === undefined) !== json) {
    const wrong = file === undefined ? "a command is missing" : "--json is for a cloud without a command"
    throw new Failure(2, wrong, [`${program} try -- aws ec2 describe-instances`, `${program} try --json`])
  }
  const cloud = await openCloud(engine)
  void cloud.ended.then((log) => note(`fractus: the cloud ended by itself.\n${log}`))
  try {
    if (file === undefined) await serveUntilLeft(cloud)
    else await run(cloud, file, argv)
  } finally {
    await cloud.close()
  }
}

const run = async (cloud: ThrowawayCloud, file: string, argv: readonly string[]): Promise<void> => {
  try {
    await runAttached(file, argv, { env: changedEnvironment(tryEnvironment(cloud.access, cloud.home)) })
  } catch (error) {
    const exitCode = exitCodes[codeOf(error) ?? ""]
    if (exitCode === undefined) throw error
    note(`fractus: ${file}: ${exitCode === 127 ? "command not found" : "cannot be executed"}`)
    process.exitCode = exitCode
  }
}

/** docs/reference/cli/try.schema.json. One line, so that a program can read it without a parser of streams. */
const serveUntilLeft = async (cloud: ThrowawayCloud): Promise<void> => {
  const { access, home, controlToken } = cloud
  const { images } = await readStatus(access.endpoint)
  const environment = tryEnvironment(access, home)
  print(JSON.stringify({ ...access, images, home, controlToken, environment }))
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const
  const signalled = signals.map(async (signal) => {
    await once(process, signal)
    process.exitCode = 128 + constants.signals[signal]
  })
  await Promise.race([
    ...signalled,
    once(process.stdin.resume(), "close"),
    cloud.ended.then(() => (process.exitCode = 1)),
  ])
  process.stdin.destroy()
}
