/** A cloud of its own on real guests, by the commands that a user types, and launches on it. */
import { execFile } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import {
  AuthorizeSecurityGroupIngressCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeSecurityGroupsCommand,
  EC2Client,
  ImportKeyPairCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2"
import type { Why } from "#cli/commands/why.ts"
import { findInCatalog } from "#images/catalog.ts"
import { readImage } from "#images/image-folder.ts"
import { firstContact, type Contact, makeKey } from "./first-contact.ts"
import { launchSleeper, type Sleeper } from "./resume.ts"

const execute = promisify(execFile)
const main = new URL("../../cli/main.ts", import.meta.url).pathname
export const launchMs = 60_000
/** `small`: so that many fit a machine. */
const types = { one: "t3.micro", small: "t3.nano", whole: "t3.small" } as const
/** A whole distribution is built from its packages first, and takes minutes to boot under emulation. */
const buildMs = 3_600_000
const wholeLaunchMs = 900_000
export const kinds = ["fractus-micro", "debian-12"] as const
export type ImageKind = (typeof kinds)[number]
const keyName = "bench"
/** Between attempts at its sshd: a clone of the pool answers in a few milliseconds from the moment on when its tap lets anything through. */
const quickMs = { pool: 10, clone: 25 }
/** How much longer each of many may take. */
const patienceMs = 8_000

/** Times from the call on. */
export interface Launched extends Contact {
  readonly id: string
  /** To the answer. */
  readonly answeredMs: number
  /** Wall time of the call. */
  readonly calledMs: number
  readonly why: Why
}

/** What a running guest was started with. */
export interface Model {
  readonly argv: readonly string[]
  /** By descriptor, from 3 on: overlay, image, kernel, initrd. */
  readonly files: readonly string[]
  readonly metadata: { readonly guest: string }
}

export interface RealCloud {
  launch(): Promise<Launched>
  /** That many by one call; all together before any is looked at. */
  launchMany(count: number): Promise<readonly (Contact & { readonly id: string })[]>
  /** File with the private key that all guests let in. */
  readonly key: string
  readonly keyName: string
  /** Of the image that is launched. */
  readonly image: string
  /** The lines for a shell of `fractus env`. */
  environment(): Promise<string>
  /** Resolves when the next launch is a clone. On a cloud that is warm alone. */
  warm(): Promise<void>
  /** A guest that may hibernate. */
  sleeper(): Promise<Sleeper>
  /** Resolves when as many clones wait as shall. On a cloud with a pool alone. */
  pooled(): Promise<void>
  /** Resolves once nothing of it is left. */
  terminate(id: string): Promise<void>
  model(id: string): Promise<Model>
  /** Processes of the cloud and their pids: "fractus-api", "fractus-host", "guest-services", and the guests'. */
  processes(): Promise<ReadonlyMap<string, number>>
  close(): Promise<void>
}

export interface CloudOptions {
  readonly many?: boolean
  readonly pool?: number
  readonly kind?: ImageKind
}

/** Starts a cloud on a fresh home; its guests boot, or with "on" are clones of warm templates, of those that wait where there is a `pool`; `many`: small ones. `close` ends all of it and removes the home. */
export async function openCloud(
  warm: "on" | "off" = "off",
  { many = false, pool, kind = "fractus-micro" }: CloudOptions = {},
): Promise<RealCloud> {
  const instanceType = kind === "debian-12" ? types.whole : many ? types.small : types.one
  const { id: image = "", loginUser: user = "" } = findInCatalog(kind) ?? {}
  const deadlineMs = kind === "debian-12" ? wholeLaunchMs : launchMs
  const directory = mkdtempSync(join(tmpdir(), "fractus-launch-"))
  // Made by `up` itself, which knows who must be able to read it.
  const home = join(directory, "home")
  const fractus = (...args: string[]) =>
    execute(process.execPath, [main, ...args, "--home", home], { timeout: kind === "debian-12" ? buildMs : 300_000 })
  let closing: Promise<void> | undefined
  const down = async () => {
    await fractus("down")
    rmSync(directory, { recursive: true, force: true })
  }
  const close = () => (closing ??= down())
  try {
    const port = await freePort()
    const waiting = pool === undefined ? [] : ["--warm-pool", `${instanceType}=${pool}`]
    await fractus(
      "up",
      "--port",
      String(port),
      "--images",
      "first",
      "--no-profile",
      "--yes",
      "--warm",
      warm,
      ...waiting,
    )
    const endpoint = `http://127.0.0.1:${port}`
    const ec2 = await clientOf(home, endpoint)
    if (kind === "debian-12") await fractus("image", "build", kind)
    const { Images: [found] = [] } = await ec2.send(new DescribeImagesCommand({ ImageIds: [image] }))
    if (found?.State !== "available") throw new Error(`the cloud has no ${kind}`)
    await openSsh(ec2)
    const key = await makeKey(directory)
    await ec2.send(new ImportKeyPairCommand({ KeyName: keyName, PublicKeyMaterial: readFileSync(`${key}.pub`) }))
    const wanted = { image, instanceType, key, user, deadlineMs }
    const why = async (id: string) => JSON.parse((await fractus("why", id, "--json")).stdout)
    return {
      key,
      keyName,
      image,
      environment: async () => (await fractus("env")).stdout,
      async launch() {
        const calledMs = Date.now()
        const { answeredMs, contacts } = await launch(ec2, {
          ...wanted,
          count: 1,
          ...(warm === "on" && { everyMs: pool === undefined ? quickMs.clone : quickMs.pool }),
        })
        const [first] = await contacts
        if (!first) throw new Error("nothing was launched")
        return { ...first, answeredMs, calledMs, why: await why(first.id) }
      },
      launchMany: async (count) => (await launch(ec2, { ...wanted, count })).contacts,
      async warm() {
        await fractus("image", "warm", image, "--instance-type", instanceType)
      },
      sleeper: () => launchSleeper(ec2, { image, keyName, key }),
      pooled: () => untilPooled(endpoint),
      async terminate(id) {
        await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }))
        const answer = await fetch(`${endpoint}/_fractus/settled?timeout=60`)
        if (!answer.ok) throw new Error(`${id} does not end: ${await answer.text()}`)
      },
      model: (id) => modelOf(home, image, id),
      async processes() {
        const answer = await fetch(`${endpoint}/_fractus/status`)
        const status: { readonly processes: readonly { readonly name: string; readonly pid: number }[] } = JSON.parse(
          await answer.text(),
        )
        return new Map(status.processes.map(({ name, pid }) => [name, pid]))
      },
      async close() {
        ec2.destroy()
        await close()
      },
    }
  } catch (error) {
    await close().catch(() => {})
    throw error
  }
}

interface Wanted {
  readonly image: string
  readonly instanceType: InstanceType
  readonly count: number
  readonly key: string
  readonly user: string
  readonly deadlineMs: number
  /** Pause between attempts at its sshd. */
  readonly everyMs?: number
}
type InstanceType = (typeof types)[keyof typeof types]

/** `contacts`: not awaited yet. */
async function launch(ec2: EC2Client, { image, instanceType, count, key, user, deadlineMs, everyMs }: Wanted) {
  const some = { ImageId: image, InstanceType: instanceType, KeyName: keyName, MinCount: count, MaxCount: count }
  const started = performance.now()
  const { Instances = [] } = await ec2.send(new RunInstancesCommand(some))
  const answeredMs = performance.now() - started
  const ids = Instances.map(({ InstanceId = "" }) => InstanceId)
  const { Reservations = [] } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: ids }))
  const found = Reservations.flatMap((each) => each.Instances ?? [])
  const contact = async (id: string) => {
    const address = found.find(({ InstanceId }) => InstanceId === id)?.PublicIpAddress
    if (address === undefined) throw new Error(`${id} has no public address`)
    const login = { address, user, key }
    return { id, ...(await firstContact(login, started, deadlineMs + count * patienceMs, undefined, everyMs)) }
  }
  return { answeredMs, contacts: Promise.all(ids.map(contact)) }
}

async function clientOf(home: string, endpoint: string): Promise<EC2Client> {
  const { accessKeyId, secretAccessKey, region } = JSON.parse(readFileSync(join(home, "credentials.json"), "utf8"))
  return new EC2Client({ endpoint, region, credentials: { accessKeyId, secretAccessKey } })
}

/** Lets port 22 of the default group be reached from everywhere. */
async function openSsh(ec2: EC2Client): Promise<void> {
  const filter = { Name: "group-name", Values: ["default"] }
  const { SecurityGroups = [] } = await ec2.send(new DescribeSecurityGroupsCommand({ Filters: [filter] }))
  const rule = { IpProtocol: "tcp", FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: "0.0.0.0/0" }] }
  await ec2.send(
    new AuthorizeSecurityGroupIngressCommand({ GroupId: SecurityGroups[0]?.GroupId, IpPermissions: [rule] }),
  )
}

async function untilPooled(endpoint: string): Promise<void> {
  const end = performance.now() + launchMs
  for (;;) {
    const answer = await fetch(`${endpoint}/_fractus/status`)
    const { memory }: { readonly memory: { readonly pool: { wanted: number; waiting: number } | null } } =
      await JSON.parse(await answer.text())
    if (memory.pool && memory.pool.wanted > 0 && memory.pool.waiting >= memory.pool.wanted) return
    if (performance.now() > end) throw new Error("the pool is not filled")
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}

async function modelOf(home: string, image: string, id: string): Promise<Model> {
  const built = await readImage(join(home, "images", image))
  if (built === undefined) throw new Error(`${image} is not in the home`)
  for (const slot of readdirSync("/run/fractus")) {
    const run = join("/run/fractus", slot)
    const record = parsed(join(run, "guests", id, "machine.json"))
    if (record === undefined) continue
    const documents = readdirSync(join(run, "metadata")).filter((name) => name.endsWith(".json"))
    const metadata = documents
      .map((name) => parsed(join(run, "metadata", name)))
      .find((document) => document?.guest === id)
    if (metadata === undefined) throw new Error(`${id} has no metadata document`)
    const volume = /id=disk-(vol-[0-9a-f]+)/.exec(record.argv.join(" "))?.[1] ?? ""
    const overlay = join(home, "volumes", `${volume}.qcow2`)
    const files = [overlay, join(home, "images", image, "disk.qcow2"), built.kernelPath, built.initrdPath]
    return { argv: record.argv, files, metadata }
  }
  throw new Error(`${id} runs in no slot`)
}

/** A machine's record or a metadata document, as this host writes them; undefined where there is none. */
function parsed(path: string): { readonly argv: readonly string[]; readonly guest: string } | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8"))
  } catch {
    return undefined
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
}
