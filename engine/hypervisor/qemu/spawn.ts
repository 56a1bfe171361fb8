/** Starts QEMU's process: its limits, its namespaces, its user, its open files. */
import { execFileSync, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fchownSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs"
import path from "node:path"
import { findByArgument, type ProcessIdentity } from "./process.ts"

export interface Launch {
  /** QEMU and its arguments. */
  readonly argv: readonly string[]
  /** Working directory; becomes unreachable by name for the process itself. */
  readonly directory: string
  /** See `raiseFence`. */
  readonly fence: string
  readonly uid: number
  /** Name of the network namespace, undefined: an empty one of its own. */
  readonly namespace: string | undefined
  /** Files to write the pid to before anything else, to join control groups. */
  readonly joins: readonly string[]
  /** The process sees `files[n]` as number `firstFd + n`. */
  readonly files: readonly number[]
  /** See `makeCell`. */
  readonly cell: string
  /** A fifo. */
  readonly errors: number
}

/** Numbers 0 to 2 are the standard ones. */
export const firstFd = 3

/**
 * Runs as root in the new namespaces, then becomes QEMU; the pid stays the same. The mounts hide what QEMU has no
 * business with; its working directory stays usable, since it was entered before. fd 9 and up are left alone by `sh`.
 */
const script = `
set -eu
[ -e "$1" ] || exit 0
shift
while [ "$1" != -- ]; do echo $$ >"$1"; shift; done
shift
ulimit -c 0
mount -n --all --fstab "$1"
shift
exec "$@"
`

/** In the directory of a machine: while it is there, the launch of this nonce may begin. */
const fenceOf = (directory: string, nonce: string) => path.join(directory, `launch-${nonce}`)

/** Before a launch. Gives its path. `lowerFence` takes it away when the process answers, or has ended. */
export function raiseFence(directory: string, nonce: string): string {
  const fence = fenceOf(directory, nonce)
  writeFileSync(fence, "")
  return fence
}

export const lowerFence = (directory: string, nonce: string): void => rmSync(fenceOf(directory, nonce), { force: true })

/**
 * The process of a launch whose maker was killed before it could write down which. Between fork and exec it looks like its maker, for
 * as long as the machine is busy: so the fence goes first, and what has not passed it yet ends by itself. What has shows the nonce.
 */
export async function findLaunched(directory: string, nonce: string): Promise<ProcessIdentity | undefined> {
  lowerFence(directory, nonce)
  return findByArgument(nonce)
}

/** Starts it and gives the pid. The process goes on when we end. */
export function launch(request: Launch): { readonly pid: number; readonly exited: Promise<void> } {
  const { uid } = request
  const isolate = ["unshare", "--mount", "--propagation", "private", "--ipc", "--uts"]
  const enter = request.namespace === undefined ? [] : ["nsenter", `--net=/run/netns/${request.namespace}`]
  const drop = ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--no-new-privs"]
  const caps = ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]
  const [command = "", ...args] = [
    ...enter,
    ...isolate,
    ...(request.namespace === undefined ? ["--net"] : []),
    "sh",
    "-c",
    script,
    "launch",
    request.fence,
    ...request.joins,
    "--",
    path.join(request.cell, "fstab"),
    ...drop,
    ...caps,
    "--",
    ...request.argv,
  ]
  const child = spawn(command, args, {
    cwd: request.directory,
    detached: true,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C" },
    stdio: ["ignore", request.errors, request.errors, ...request.files],
  })
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => resolve())
    child.once("error", () => resolve())
  })
  child.unref()
  if (child.pid === undefined) throw new Error(`cannot start ${command}`)
  return { pid: child.pid, exited }
}

/**
 * What every machine's mount namespace has in common: a /dev of five devices (six with KVM), and nothing where the
 * host keeps its own things. `hidden` are further directories to hide.
 */
export function makeCell(cell: string, options: { readonly kvm: boolean; readonly hidden: readonly string[] }): void {
  const dev = path.join(cell, "dev")
  mkdirSync(path.join(dev, "net"), { recursive: true, mode: 0o755 })
  chmodSync(cell, 0o755)
  const devices = { null: [1, 3], zero: [1, 5], random: [1, 8], urandom: [1, 9], "net/tun": [10, 200], kvm: [10, 232] }
  for (const [name, [major, minor]] of Object.entries(devices)) {
    const node = path.join(dev, name)
    if (name === "kvm" && !options.kvm) rmSync(node, { force: true })
    else if (!existsSync(node)) execFileSync("mknod", ["-m", "666", node, "c", `${major}`, `${minor}`])
  }
  const host = ["/etc", "/home", "/root", "/run", "/srv", "/tmp", "/var", "/mnt", "/media", "/boot"]
  const hidden = [...host.filter((directory) => existsSync(directory)), ...options.hidden]
  const empty = "tmpfs ro,nosuid,nodev,noexec,mode=755,size=4k 0 0"
  // A directory below a hidden one is out of sight already, and could not be mounted on.
  const outermost = hidden.filter((one) => !hidden.some((other) => one !== other && one.startsWith(`${other}/`)))
  const lines = [
    // Of the other processes it sees none.
    "cell /proc proc nosuid,nodev,noexec,hidepid=2 0 0",
    `${escape(dev)} /dev none bind,dev,nosuid,noexec 0 0`,
    ...outermost.map((at) => `none ${escape(at)} ${empty}`),
  ]
  writeFileSync(path.join(cell, "fstab"), [...new Set(lines), ""].join("\n"), { mode: 0o600 })
}

/** As fstab(5) wants blanks written. */
const escape = (text: string): string =>
  text.replaceAll(/[\s\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`)

/**
 * Opens a fifo for QEMU's messages. The kernel keeps 64 KiB of them and drops the rest, so a guest that makes QEMU
 * complain fills no disk; and as the fifo's writer is its reader too, our end breaks nothing.
 */
export function openErrors(fifo: string): number {
  if (!existsSync(fifo)) execFileSync("mkfifo", ["-m", "600", fifo])
  return openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK)
}

/** What is in the fifo now, as one line. */
export function readErrors(fd: number): string {
  const buffer = Buffer.alloc(1 << 16)
  try {
    const text = buffer.toString("utf8", 0, readSync(fd, buffer))
    return text
      .replaceAll(/[^\x20-\x7e]+/g, " ")
      .trim()
      .slice(0, 2000)
  } catch {
    return ""
  }
}

export type Wanted =
  | { readonly path: string; readonly write: boolean }
  /** A file without a name that holds these words, and that only `uid` may open. It is made in `folder`. */
  | { readonly secret: () => string; readonly uid: number; readonly folder: string }

/** Opens the files, or none of them. `undo` closes them again. */
export function openFiles(wanted: readonly Wanted[]) {
  const files: number[] = []
  const undo = () => files.splice(0).forEach((fd) => closeSync(fd))
  try {
    for (const each of wanted)
      files.push(
        "secret" in each ? openSecret(each) : openSync(each.path, each.write ? constants.O_RDWR : constants.O_RDONLY),
      )
  } catch (error) {
    undo()
    throw error
  }
  return { files, undo }
}

/** Its name is gone before the secret is in it; the file goes with the last process that has it open. */
function openSecret({ secret, uid, folder }: Extract<Wanted, { readonly secret: unknown }>): number {
  const name = path.join(folder, `.secret-${randomUUID()}`)
  const fd = openSync(name, "wx+", 0o400)
  try {
    unlinkSync(name)
    fchownSync(fd, uid, uid)
    writeSync(fd, secret())
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}
