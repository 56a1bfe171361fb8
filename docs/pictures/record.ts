/**
 * `node docs/pictures/record.ts`: runs the commands of session.txt, as root, in one shell, and leaves what they printed in session.json,
 * which `draw.ts` makes a picture of. A blank line separates commands.
 * FRACTUS_HOME chooses the home; it is taken down at the end.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface Step {
  readonly command: string
  readonly output: string
}

const here = new URL("./", import.meta.url).pathname
const fractus = join(here, "../../fractus")
const marker = "--- ended with"
const deadlineMs = 120_000

async function record(commands: readonly string[], folder: string): Promise<readonly Step[]> {
  const files = { AWS_CONFIG_FILE: join(folder, "config"), AWS_SHARED_CREDENTIALS_FILE: join(folder, "credentials") }
  const env = { ...process.env, ...files, FRACTUS_PROGRAM: "", AWS_PAGER: "" }
  const shell = spawn("bash", ["--noprofile", "--norc"], { cwd: folder, env })
  let text = ""
  shell.stdout.setEncoding("utf8").on("data", (part: string) => (text += part))
  shell.stdin.write("exec 2>&1\n")
  const steps: Step[] = []
  for (const command of commands) {
    text = ""
    // ssh would read on in what the shell is to do next.
    shell.stdin.write(`{ ${command}\n} </dev/null\necho "${marker} $?"\n`)
    while (!text.includes(marker)) await once(shell.stdout, "data", { signal: AbortSignal.timeout(deadlineMs) })
    const [output = "", status = ""] = text.split(marker)
    if (status.trim() !== "0") throw new Error(`${command}\n${text}`)
    steps.push({ command, output })
    console.error(`${command}\n${output}`)
  }
  shell.stdin.end()
  return steps
}

const folder = mkdtempSync(join(tmpdir(), "fractus-record-"))
symlinkSync(fractus, join(folder, "fractus"))
try {
  const commands = readFileSync(join(here, "session.txt"), "utf8").trimEnd().split("\n\n")
  writeFileSync(join(here, "session.json"), `${JSON.stringify(await record(commands, folder), null, 2)}\n`)
} finally {
  const [down] = await once(spawn(fractus, ["down"], { stdio: "ignore" }), "exit")
  if (down !== 0) console.error("down failed")
  rmSync(folder, { recursive: true, force: true })
}
