/**
 * A played machine: this one's files, copied when written, or a root file system of its own, in mount, network, process, host name and IPC namespaces of its
 * own. What a test makes odd in it (rules, routes, missing programs, small disks) is odd for nobody else, and all of it is
 * gone with its first process, which ends with the test. Needs root and overlayfs.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, realpathSync, rmdirSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestContext } from "node:test"
import { root } from "../../style/tree.ts"

export interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  /** Both, for messages. */
  readonly output: string
}

export interface MachineOptions {
  /** A shell script that makes it odd. */
  readonly odd?: string
  /** A folder with a whole root file system, used as it is. */
  readonly rootFolder?: string
}

interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly timeoutMs?: number
}

export interface Machine {
  /** A shell script as root in this machine; never throws. Longest time: a minute. */
  run(script: string, options?: RunOptions): Promise<Ended>
  /** The same; throws with its output unless it ends with 0. Gives stdout. */
  must(script: string, options?: RunOptions): Promise<string>
  /** Its first process, as seen from outside. */
  readonly pid: string
}

/** The entry script, as the shell of a played machine is to be given it. */
export const program = join(root, "fractus")

/** Mounts what a machine has. `$D` is an empty folder, `$@` are folders that must be seen though they may be other file systems. */
const setUp = `set -e
read -r outside _ < /proc/self/stat
mount --make-rprivate /
mount -t tmpfs -o mode=755,size=8g played "$D"
mkdir "$D/upper" "$D/work" "$D/root"
if [ -n "$BASE" ]; then mount --bind "$BASE" "$D/root"; else
mount -t overlay -o "lowerdir=/,upperdir=$D/upper,workdir=$D/work" played "$D/root"
fi
for seen in "$@"; do [ -n "$(ls -A "$D/root$seen" 2>/dev/null)" ] || { mkdir -p "$D/root$seen"; mount --bind "$seen" "$D/root$seen"; }; done
mount -t proc proc "$D/root/proc"
mount -t sysfs -o ro sysfs "$D/root/sys"
mount -t tmpfs -o mode=755 run "$D/root/run"
mount -t tmpfs -o mode=755 dev "$D/root/dev"
mkdir "$D/root/dev/net" "$D/root/dev/shm" "$D/root/dev/pts"
for device in null zero full random urandom net/tun; do : > "$D/root/dev/$device"; mount --bind "/dev/$device" "$D/root/dev/$device"; done
mount -t tmpfs shm "$D/root/dev/shm"
ln -s /proc/self/fd "$D/root/dev/fd"
ip link set lo up
echo "$outside"
exec env --ignore-signal=CHLD cat`

/** Starts one. It ends with the test, whatever runs in it. */
export async function playMachine(t: TestContext, { odd = "", rootFolder }: MachineOptions): Promise<Machine> {
  const folder = mkdtempSync(join(tmpdir(), "fractus-odd-"))
  const seen = rootFolder === undefined ? [root, realpathSync(join(root, "node_modules"))] : []
  const kinds = ["--mount", "--net", "--pid", "--uts", "--ipc"]
  const first = spawn("unshare", [...kinds, "--fork", "--kill-child", "sh", "-c", setUp, "sh", ...seen], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, D: folder, BASE: rootFolder ?? "" },
  })
  t.after(async () => {
    await end(first)
    rmdirSync(folder)
  })
  const pid = await firstLine(first)
  const inside = ["-t", pid, "-m", "-n", "-p", "-u", "-i", "chroot", join(folder, "root")]
  const run = (script: string, { env = {}, timeoutMs = 60_000 }: RunOptions = {}): Promise<Ended> =>
    new Promise((resolve) => {
      const settings = { timeout: timeoutMs, killSignal: "SIGKILL", maxBuffer: 1 << 24, env: environment(env) } as const
      execFile("nsenter", [...inside, "sh", "-c", script], settings, (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === "number" ? error.code : -1
        resolve({ status, stdout, stderr, output: stdout + stderr })
      })
    })
  const must = async (script: string, options?: RunOptions): Promise<string> => {
    const { status, stdout, output } = await run(script, options)
    if (status !== 0) throw new Error(`exit ${status} of ${script}\n${output}`)
    return stdout
  }
  // From outside, because a fresh root has no ip command.
  const lines =
    "link add outside type bridge\naddr add 192.0.2.7/24 dev outside\nlink set outside up\nroute add default via 192.0.2.1"
  execFileSync("nsenter", ["-t", pid, "-n", "ip", "-batch", "-"], { input: `${lines}\n` })
  if (odd !== "") await must(`set -e\n${odd}`)
  return { run, must, pid }
}

async function end(first: ChildProcess): Promise<void> {
  if (first.exitCode !== null || first.signalCode !== null) return
  const ended = once(first, "close")
  first.stdin?.end()
  await ended
}

async function firstLine(first: ChildProcess): Promise<string> {
  let [said, wrong] = ["", ""]
  first.stderr?.on("data", (chunk) => (wrong += String(chunk)))
  for await (const chunk of first.stdout ?? []) {
    said += String(chunk)
    if (said.includes("\n")) return said.trim()
  }
  throw new Error(`no machine could be played: ${wrong}`)
}

/** As a login of root has it, whatever the tests were started with; nothing is built in the background. */
const environment = (env: Readonly<Record<string, string>>): Record<string, string> => ({
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  LANG: "C.UTF-8",
  FRACTUS_IMAGES: "first",
  ...env,
})
