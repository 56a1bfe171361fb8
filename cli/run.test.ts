import assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test, type TestContext } from "node:test"
import { inRepository } from "./repository.ts"

const temporary = (context: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "fractus-run-"))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const environment = (folder: string): NodeJS.ProcessEnv => {
  const { NODE_TEST_CONTEXT: _, FRACTUS_HOME: _home, ...env } = process.env
  return { ...env, HOME: folder, XDG_CACHE_HOME: join(folder, "cache"), XDG_DATA_HOME: join(folder, "data") }
}

const fractus = (folder: string, ...argv: string[]) =>
  spawnSync(process.execPath, [inRepository("cli/main.ts"), ...argv], {
    env: environment(folder),
    encoding: "utf8",
    timeout: 60_000,
  })

test("usage errors, and what is not built, exit 2 and say what to type", (context) => {
  const folder = temporary(context)
  const home = ["--home", join(folder, "home")]
  const wrong = [
    ["nonsense"],
    ["up", "--port", "0"],
    ["up", "--port", "x"],
    ["up", "--engine", "kvm"],
    ["up", "--auth", "off"],
    ["up", "--engine", "qemu", "--auth", "off"],
    ["up", "--sim-speed", "2"],
    ["up", "--public-cidr", "1.2.3.4/8"],
    ["up", "--wrong"],
    ["up", "extra"],
    ["up", "--demo", "--engine", "sim"],
    ["up", "--home", ""],
    ["image", "remove", "ami-1"],
    ["account", "create", "a\nb"],
    ["test", "everything"],
    ["completion", "fish"],
    ["bench", "../../etc/passwd"],
    ["ssh"],
  ]
  for (const argv of wrong) {
    const takesHome = argv.includes("--home") || ["nonsense", "completion"].includes(argv[0] ?? "") ? [] : home
    const { status, stdout, stderr } = fractus(folder, ...argv, ...takesHome)
    assert.equal(status, 2, `${argv.join(" ")}: ${stderr}`)
    assert.equal(stdout, "", argv.join(" "))
    assert.match(stderr, /To mend it|To see what it takes/, argv.join(" "))
  }
})

test("help and version exit 0 on stdout", (context) => {
  const folder = temporary(context)
  for (const argv of [["--help"], ["--version"], ["up", "--help"], ["help", "up"]]) {
    const { status, stdout, stderr } = fractus(folder, ...argv)
    assert.deepEqual([status, stderr], [0, ""])
    assert.notEqual(stdout, "")
  }
})

test("commands on a home that was never started exit 1 with the command that starts it", (context) => {
  const folder = temporary(context)
  const commands = [
    ["status"],
    ["env"],
    ["aws", "sts", "get-caller-identity"],
    ["ssh", "i-1"],
    ["logs"],
    ["restart"],
    ["image", "list"],
    ["account", "list"],
  ]
  for (const argv of commands) {
    const words = argv[0] === "aws" ? ["aws", "--home", join(folder, "home"), ...argv.slice(1)] : argv
    const home = argv[0] === "aws" ? [] : ["--home", join(folder, "home")]
    const [command = "", ...rest] = words
    const result =
      argv[0] === "ssh" ? fractus(folder, command, ...home, ...rest) : fractus(folder, command, ...rest, ...home)
    assert.equal(result.status, 1, `${argv.join(" ")}: ${result.stderr}`)
    assert.match(result.stderr, /To mend it: .*up/, argv.join(" "))
    assert.equal(result.stdout, "")
  }
})

/** Makes the repository `clone` in this folder, for who may not enter the folder it is in, as root's is; words before argv. */
const openly = (folder: string): string[] => {
  const clone = join(folder, "clone")
  if (process.getuid?.() !== 0) {
    symlinkSync(inRepository(), clone)
    return []
  }
  mkdirSync(clone)
  const script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
  return ["unshare", "--mount", "sh", "-c", script, "sh", inRepository(), clone]
}

test("without root, up exits 3, names both ways out and leaves no home behind", (context) => {
  const folder = temporary(context)
  chmodSync(folder, 0o777)
  const drop = process.getuid?.() === 0 ? ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"] : ["env"]
  const [program = "", ...words] = [...openly(folder), ...drop]
  const inClone = (path: string) => path.replace(inRepository(""), join(folder, "clone"))
  for (const engine of [[], ["--engine", "auto"], ["--engine", "qemu"]]) {
    const argv = [...words, inClone(process.execPath), inClone(inRepository("cli/main.ts")), "up", ...engine]
    const { status, stderr } = spawnSync(program, argv, { env: environment(folder), encoding: "utf8", timeout: 60_000 })
    assert.equal(status, 3, stderr)
    assert.match(stderr, /sudo .* up/)
    assert.match(stderr, /up --engine sim/)
    const data = spawnSync("ls", [join(folder, "data")], { encoding: "utf8" })
    assert.notEqual(data.status, 0)
  }
})

test("a reader that leaves early changes nothing: no stack, the command's own exit code", async (context) => {
  const folder = temporary(context)
  const child = spawn(process.execPath, [inRepository("cli/main.ts"), "completion", "bash"], {
    env: environment(folder),
  })
  child.stdout.destroy()
  let said = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said += text))
  const [status] = (await once(child, "close")) as [number | null]
  assert.equal(said, "")
  assert.equal(status, 0)
})

test("the script works from any folder and through a link", (context) => {
  const folder = temporary(context)
  symlinkSync(inRepository("fractus"), join(folder, "link"))
  const { status, stdout } = spawnSync(join(folder, "link"), ["--version"], {
    cwd: "/",
    env: environment(folder),
    encoding: "utf8",
  })
  assert.deepEqual([status, stdout], [0, "0.1.0\n"])
})
