/** A whole cloud with real guests for one test: `./fractus up` on a home and a port of its own, seen through the JavaScript SDK. */
import { execFile } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createConnection } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestContext } from "node:test"
import { setTimeout as delay } from "node:timers/promises"
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateKeyPairCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeSecurityGroupsCommand,
  EC2Client,
  type Instance,
} from "@aws-sdk/client-ec2"
import type { Credentials } from "#daemon/home-records.ts"
import { debianImage } from "#images/catalog.ts"
import { root } from "../style/tree.ts"

export interface Ended {
  readonly status: number
  readonly output: string
}

export interface Cloud {
  readonly home: string
  readonly port: number
  readonly client: EC2Client
  readonly imageId: string
  /** File with the private key of the key pair "test". */
  readonly key: string
  /** `fr<slot>`, and the slot's folder below /run. */
  readonly prefix: string
  readonly run: string
  up(): Promise<void>
  /** `down`; throws when it fails. */
  down(): Promise<void>
  /** Processes as the API's status page names them: name -> pid. */
  processes(): Promise<ReadonlyMap<string, number>>
  settled(timeoutS?: number): Promise<void>
  instances(): Promise<readonly Instance[]>
}

/** The entry script with these words, without images in the background; never throws. Longest time: two minutes. */
export function fractus(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const settings = { timeout: 120_000, env: { ...process.env, FRACTUS_IMAGES: "first", ...env }, maxBuffer: 1 << 24 }
    execFile(join(root, "fractus"), words, settings, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1
      resolve({ status: code, output: `${stdout}${stderr}` })
    })
  })
}

/** Looks every 50 ms until `found` gives something; throws after `timeoutMs` with what was waited for. */
export async function until<T>(what: string, timeoutMs: number, found: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + timeoutMs
  for (;;) {
    const value = await found()
    if (value !== undefined) return value
    if (performance.now() > end) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await delay(50)
  }
}

/** Starts a cloud with its home below `place` by `up` with these words, port 22 open to all, and a key pair. Its guests boot, unless `words` say "--warm on". It is taken down and its folder removed after the test. */
export async function startCloud(
  t: TestContext,
  port: number,
  place = tmpdir(),
  words: readonly string[] = [],
): Promise<Cloud> {
  const directory = mkdtempSync(join(place, "fractus-cloud-"))
  const home = join(directory, "home")
  t.after(async () => {
    if (existsSync(join(home, "config.json"))) await fractus(["down", "--home", home])
    rmSync(directory, { recursive: true, force: true })
  })
  const up = () =>
    must(["up", "--yes", "--no-profile", "--home", home, "--port", String(port), "--warm", "off", ...words])
  await up()
  const { accessKeyId, secretAccessKey, region } = JSON.parse(
    readFileSync(join(home, "credentials.json"), "utf8"),
  ) as Credentials
  const endpoint = `http://127.0.0.1:${port}`
  const client = new EC2Client({ endpoint, region, credentials: { accessKeyId, secretAccessKey }, maxAttempts: 1 })
  t.after(() => client.destroy())
  const slot = readFileSync(join(home, "slot"), "utf8").trim()
  const key = join(directory, "test.pem")
  const pair = await client.send(new CreateKeyPairCommand({ KeyName: "test" }))
  writeFileSync(key, pair.KeyMaterial ?? "", { mode: 0o600 })
  const { Images: images = [] } = await client.send(new DescribeImagesCommand({}))
  const { SecurityGroups: groups = [] } = await client.send(new DescribeSecurityGroupsCommand({}))
  const ssh = { IpProtocol: "tcp", FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: "0.0.0.0/0" }] }
  await client.send(
    new AuthorizeSecurityGroupIngressCommand({ GroupId: groups[0]?.GroupId ?? "", IpPermissions: [ssh] }),
  )
  return {
    home,
    port,
    client,
    key,
    imageId: images[0]?.ImageId ?? "",
    prefix: `fr${slot}`,
    run: `/run/fractus/${slot}`,
    up,
    down: () => must(["down", "--home", home]),
    processes: () => processes(endpoint),
    settled: (timeoutS = 60) => settled(endpoint, timeoutS),
    async instances() {
      const { Reservations: found = [] } = await client.send(new DescribeInstancesCommand({}))
      return found.flatMap((reservation) => reservation.Instances ?? [])
    },
  }
}

/** Ends processes by SIGKILL. Some end by themselves once another is gone. */
export function killEach(pids: Iterable<number>): void {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL")
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error
    }
  }
}

async function must(words: readonly string[]): Promise<void> {
  const { status, output } = await fractus(words)
  if (status !== 0) throw new Error(`fractus ${words.join(" ")}: exit ${status}\n${output}`)
}

async function processes(endpoint: string): Promise<ReadonlyMap<string, number>> {
  const answer = await fetch(`${endpoint}/_fractus/status`, { signal: AbortSignal.timeout(20_000) })
  const { processes: list } = (await answer.json()) as { processes: { name: string; pid: number }[] }
  return new Map(list.map(({ name, pid }) => [name, pid]))
}

async function settled(endpoint: string, timeoutS: number): Promise<void> {
  const answer = await fetch(`${endpoint}/_fractus/settled?timeout=${timeoutS}`)
  if (answer.status !== 200) throw new Error(`not settled within ${timeoutS} s: ${await answer.text()}`)
}

/** The first line that an SSH server says, or undefined. */
export function banner(address: string, timeoutMs = 1_000): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: address, port: 22 })
    const end = (line?: string) => {
      socket.destroy()
      resolve(line)
    }
    socket.setTimeout(timeoutMs, () => end())
    socket.once("error", () => end())
    socket.once("data", (data) => end(String(data).split("\r\n")[0]))
    socket.once("close", () => resolve(undefined))
  })
}

/** ssh's words for a guest of this cloud. Host keys are new with each guest and prove nothing here. */
export const sshWords = (cloud: Cloud, address: string, user = "ec2-user"): readonly string[] =>
  ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=20", "LogLevel=ERROR"]
    .flatMap((option) => ["-o", option])
    .concat("-i", cloud.key, `${user}@${address}`)

/** Runs a command in a guest; its output. */
export const inGuest = (cloud: Cloud, address: string, command: string): Promise<string> =>
  bySsh(address, [...sshWords(cloud, address), command], 40_000)

/** The same as the login user of debian-12. */
export const asAdmin = (cloud: Cloud, address: string, command: string, timeoutMs = 120_000): Promise<string> =>
  bySsh(address, [...sshWords(cloud, address, debianImage.loginUser), command], timeoutMs)

function bySsh(address: string, words: readonly string[], timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile("ssh", words, { timeout: timeoutMs }, (error, stdout, stderr) =>
      error === null ? resolve(stdout.trim()) : reject(new Error(`ssh ${address}: ${error.message} ${stderr}`)),
    )
  })
}
