/** What belongs to a running machine, felt by a real guest: its serial port by SSH, a diagnostic interrupt, another root volume, the vCPUs that were chosen. */
import assert from "node:assert/strict"
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import {
  CreateReplaceRootVolumeTaskCommand,
  DescribeReplaceRootVolumeTasksCommand,
  EnableSerialConsoleAccessCommand,
  GetConsoleOutputCommand,
  ModifyInstanceCpuOptionsCommand,
  RunInstancesCommand,
  SendDiagnosticInterruptCommand,
  StartInstancesCommand,
  StopInstancesCommand,
} from "@aws-sdk/client-ec2"
import { EC2InstanceConnectClient, SendSerialConsoleSSHPublicKeyCommand } from "@aws-sdk/client-ec2-instance-connect"
import { type Cloud, inGuest, killEach, startCloud, until } from "./cloud.ts"
import { untilState } from "./hibernating.ts"
import { wrongIn } from "./orphans.ts"

const longMs = 60_000

/** Somebody at the port: what they see and type. */
interface Terminal {
  readonly child: ChildProcessWithoutNullStreams
  seen(): string
  type(text: string): void
  /** Resolves when the port showed this. */
  shows(text: RegExp): Promise<void>
}

interface Endpoint {
  readonly address: string
  readonly port: number
  readonly fingerprint: string
}

async function endpointOf(cloud: Cloud): Promise<Endpoint> {
  const answer = await fetch(`http://127.0.0.1:${cloud.port}/_fractus/status`)
  const { serialConsole } = (await answer.json()) as { serialConsole: Endpoint | null }
  return serialConsole ?? assert.fail("status names no serial console")
}

function terminal(t: TestContext, cloud: Cloud, { address, port }: Endpoint, instance: string): Terminal {
  const options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
  const words = options.flatMap((option) => ["-o", option])
  const child = spawn("ssh", ["-tt", ...words, "-i", cloud.key, "-p", String(port), `${instance}.port0@${address}`])
  t.after(() => child.kill("SIGKILL"))
  let seen = ""
  const read = (bytes: Buffer) => void (seen = (seen + String(bytes)).slice(-100_000))
  child.stdout.on("data", read)
  child.stderr.on("data", read)
  child.stdin.on("error", () => {})
  return {
    child,
    seen: () => seen,
    type: (text) => void child.stdin.write(text),
    shows: async (text) => {
      await until(`${text} in ${JSON.stringify(seen.slice(-300))}`, longMs, async () => text.test(seen) || undefined)
    },
  }
}

const ended = ({ child }: Terminal) =>
  until("the session to end", longMs, async () => (child.exitCode === null ? undefined : child.exitCode))

/** A shell at the port, as an image with a getty has one there. */
const userData = `#!/bin/sh
setsid sh -c 'while :; do getty -n -l /bin/sh -L 115200 ttyS0 vt100; done' </dev/null >/dev/null 2>&1 &
`

test("a serial port by SSH, a diagnostic interrupt, another root volume, and vCPUs", async (t) => {
  const cloud = await startCloud(t, 7310)
  const { client } = cloud
  const connect = new EC2InstanceConnectClient({
    endpoint: `http://127.0.0.1:${cloud.port}`,
    region: await client.config.region(),
    credentials: await client.config.credentials(),
    maxAttempts: 1,
  })
  t.after(() => connect.destroy())
  const SSHPublicKey = execFileSync("ssh-keygen", ["-y", "-f", cloud.key], { encoding: "utf8" })
  const { Instances: [made] = [] } = await client.send(
    new RunInstancesCommand({
      ImageId: cloud.imageId,
      InstanceType: "t3.micro",
      MinCount: 1,
      MaxCount: 1,
      KeyName: "test",
      UserData: Buffer.from(userData).toString("base64"),
    }),
  )
  const InstanceId = made?.InstanceId ?? assert.fail("no instance")
  const push = () => connect.send(new SendSerialConsoleSSHPublicKeyCommand({ InstanceId, SSHPublicKey }))
  const refused = (work: Promise<unknown>) =>
    work.then(
      () => "served",
      ({ name }: Error) => name,
    )
  const { PublicIpAddress: address = "" } = await untilState(cloud, InstanceId, "running")
  assert.equal(await refused(push()), "SerialConsoleAccessDisabledException")
  await client.send(new EnableSerialConsoleAccessCommand({}))
  await push()

  const endpoint = await endpointOf(cloud)
  const kept = join(cloud.home, "host", "serial-console", "host-key.pub")
  const printed = execFileSync("ssh-keygen", ["-l", "-f", kept], { encoding: "utf8" })
  assert.equal(printed.split(" ")[1], endpoint.fingerprint)

  const mine = terminal(t, cloud, endpoint, InstanceId)
  await until("a prompt", longMs, async () => {
    mine.type("\r")
    return /# /.test(mine.seen()) || undefined
  })
  mine.type("echo port $((6 * 7)); tty\r")
  await mine.shows(/port 42/)
  await mine.shows(/ttyS0/)
  assert.equal(await refused(push()), "SerialConsoleSessionLimitExceededException")
  const second = terminal(t, cloud, endpoint, InstanceId)
  assert.notEqual(await ended(second), 0)
  assert.match(second.seen(), /somebody has a session already/)
  const stranger = terminal(t, cloud, endpoint, "i-00000000000000000")
  assert.equal(await ended(stranger), 255)

  const output = async () => {
    const { Output = "" } = await client.send(new GetConsoleOutputCommand({ InstanceId }))
    return Buffer.from(Output, "base64").toString("latin1")
  }
  await client.send(new SendDiagnosticInterruptCommand({ InstanceId }))
  await mine.shows(/NMI received/)
  await until("the interrupt in the log", longMs, async () => /NMI received/.test(await output()) || undefined)

  // Whoever was at the port when all was killed leaves it to the next.
  const { pid: host } = JSON.parse(readFileSync(join(cloud.home, "daemon.json"), "utf8")) as { pid: number }
  killEach([host])
  await ended(mine)
  await cloud.up()
  await push()
  const again = terminal(t, cloud, await endpointOf(cloud), InstanceId)
  again.type("\recho again $((40 + 3))\r")
  await again.shows(/again 43/)
  again.child.kill("SIGTERM")
  await ended(again)
  await inGuest(cloud, address, "sudo sh -c 'echo nobody is at the port >/dev/ttyS0'")
  await until(
    "the log without a session",
    longMs,
    async () => /nobody is at the port/.test(await output()) || undefined,
  )

  assert.equal(await inGuest(cloud, address, "nproc; echo mine >old"), "2")
  const rootOf = async () =>
    (await cloud.instances()).find((each) => each.InstanceId === InstanceId)?.BlockDeviceMappings?.[0]?.Ebs?.VolumeId
  const oldRoot = await rootOf()
  const oldFile = join(cloud.home, "volumes", `${oldRoot}.qcow2`)
  assert.ok(existsSync(oldFile))
  const replace = new CreateReplaceRootVolumeTaskCommand({ InstanceId, DeleteReplacedRootVolume: true })
  const { ReplaceRootVolumeTask: task } = await client.send(replace)
  const ReplaceRootVolumeTaskIds = [task?.ReplaceRootVolumeTaskId ?? ""]
  const stateOf = async () =>
    (await client.send(new DescribeReplaceRootVolumeTasksCommand({ ReplaceRootVolumeTaskIds })))
      .ReplaceRootVolumeTasks?.[0]?.TaskState
  const replaced = async () => (await stateOf()) === "succeeded" || undefined
  await until("the root volume to be replaced", 2 * longMs, replaced)
  assert.notEqual(await rootOf(), oldRoot)
  const fresh = () => inGuest(cloud, address, "ls old 2>&1 || true").catch(() => undefined)
  assert.match(await until("ssh at the same address", 2 * longMs, fresh), /No such file/)
  await until("the old volume to go", longMs, async () => !existsSync(oldFile) || undefined)
  await client.send(new StopInstancesCommand({ InstanceIds: [InstanceId], Force: true }))
  await untilState(cloud, InstanceId, "stopped")
  await client.send(new ModifyInstanceCpuOptionsCommand({ InstanceId, CoreCount: 1, ThreadsPerCore: 1 }))
  await client.send(new StartInstancesCommand({ InstanceIds: [InstanceId] }))
  const { PublicIpAddress: later = "" } = await untilState(cloud, InstanceId, "running")
  await until(
    "ssh",
    longMs,
    async () => (await inGuest(cloud, later, "nproc").catch(() => undefined)) === "1" || undefined,
  )
  assert.deepEqual(await wrongIn(cloud), [])
})
