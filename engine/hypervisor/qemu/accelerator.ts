/** Which accelerator guests run under, by booting something tiny with it. Remembered until the host boots again. */
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { promisify } from "node:util"
import { proofDisk, provenStatus } from "./boot-proof.ts"
import { bootId } from "./process.ts"

export interface Accelerator {
  readonly accelerator: "kvm" | "tcg" | "none"
  /** QEMU's version: "7.2.22". */
  readonly version: string
  /** Newest pinned q35 machine: "pc-q35-7.2". */
  readonly machineVersion: string
}

/** It does not change while we run. */
let cpu: string | undefined
/** The host's CPU, as its guests see it under KVM. */
export const hostCpu = (): string =>
  (cpu ??=
    readFileSync("/proc/cpuinfo", "utf8")
      .split("\n\n")[0]
      ?.match(/^(model name|flags)\b.*$/gm)
      ?.join() ?? "")

const run = promisify(execFile)
const deadlineMs = { kvm: 2000, tcg: 10_000 }

/** The answer for this host boot, this QEMU and this /dev/kvm: from `stateDirectory`, or by trying. */
export async function findAccelerator(
  binary: string,
  stateDirectory: string,
  log: (line: string) => void,
): Promise<Accelerator> {
  const key = [bootId(), identity(binary), identity("/dev/kvm")].join(" ")
  const file = path.join(stateDirectory, "accelerator.json")
  const known = recall(file, key)
  if (known) return known
  const version = /version (\S+)/.exec((await run(binary, ["--version"], { timeout: 10_000 })).stdout)?.[1] ?? "unknown"
  const machines = (await run(binary, ["-machine", "help"], { timeout: 10_000 })).stdout
  const machineVersion = /^q35\s.*alias of (pc-q35-[\d.]+)\)/m.exec(machines)?.[1]
  if (!machineVersion) throw new Error(`${binary} has no q35 machine`)
  const kvm = identity("/dev/kvm") !== "none" && (await proves(binary, "kvm", log))
  const accelerator = kvm ? "kvm" : (await proves(binary, "tcg", log)) ? "tcg" : "none"
  const found: Accelerator = { accelerator, version, machineVersion }
  writeFileSync(`${file}.new`, JSON.stringify({ key, ...found }), { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return found
}

/** Whether the proof comes to its end in time, with the CPU that guests get. */
async function proves(binary: string, accelerator: "kvm" | "tcg", log: (line: string) => void): Promise<boolean> {
  const directory = mkdtempSync(path.join(tmpdir(), "fractus-proof-"))
  const disk = path.join(directory, "disk")
  try {
    writeFileSync(disk, proofDisk())
    await run(
      binary,
      [
        ["-no-user-config", "-nodefaults", "-display", "none", "-machine", "q35", "-m", "64"],
        ["-accel", accelerator, "-cpu", accelerator === "kvm" ? "host" : "max"],
        ["-drive", `if=none,id=disk,format=raw,read-only=on,file=${disk}`],
        ["-device", "virtio-blk-pci,drive=disk,bootindex=0", "-device", "isa-debug-exit,iobase=0xf4"],
      ].flat(),
      { timeout: deadlineMs[accelerator], killSignal: "SIGKILL", cwd: directory },
    )
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === provenStatus) return true
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).split("\n")[0] : String(error)
    log(`${accelerator} is not used: it did not boot the proof in ${deadlineMs[accelerator]} ms. ${said}`)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
  return false
}

function recall(file: string, key: string): Accelerator | undefined {
  try {
    const stored: Accelerator & { key: string } = JSON.parse(readFileSync(file, "utf8"))
    if (stored.key !== key) return undefined
    return { accelerator: stored.accelerator, version: stored.version, machineVersion: stored.machineVersion }
  } catch {
    return undefined
  }
}

function identity(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat ? [stat.dev, stat.ino, stat.rdev, stat.size, stat.mtimeMs].join(":") : "none"
}
