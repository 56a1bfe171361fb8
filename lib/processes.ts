/** Processes by what they were started with. */
import { readdirSync, readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"

export interface Started {
  readonly pid: number
  /** Its arguments or its environment, whichever was asked for. */
  readonly words: readonly string[]
}

/** How long one may be in the middle of exec; a busy machine keeps it there for some tens of milliseconds. */
const execMs = 500
/** Flag of kernel threads, which have neither arguments nor environment: PF_KTHREAD of the kernel's sched.h. */
const kernelThread = 0x00200000

/**
 * All processes but this one and what has ended. One that is in the middle of exec shows nothing of either (its new memory has no
 * arguments yet): it is looked at again until it does. One that has not begun exec shows what its parent was started with.
 */
export async function processes(what: "cmdline" | "environ"): Promise<readonly Started[]> {
  const found: Started[] = []
  const deadlineMs = performance.now() + execMs
  const other = what === "cmdline" ? "environ" : "cmdline"
  let pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
  for (let looks = 0; pids.length > 0 && performance.now() < deadlineMs; looks++) {
    if (looks > 0) await sleep(5)
    const between: string[] = []
    for (const pid of pids) {
      const text = read(pid, what)
      if (text !== "") found.push({ pid: Number(pid), words: text.split("\0") })
      // What shows the other has an empty one, or came out of exec between the two looks.
      else if (isUsers(pid) && (looks < 3 || read(pid, other) === "")) between.push(pid)
    }
    pids = between
  }
  return found
}

/** Neither ended nor a kernel thread. */
function isUsers(pid: string): boolean {
  const stat = read(pid, "stat")
  // The second field is the name in brackets and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return stat !== "" && fields[0] !== "Z" && fields[0] !== "X" && (Number(fields[6]) & kernelThread) === 0
}

function read(pid: string, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8")
  } catch {
    return ""
  }
}
