import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { test } from "node:test"
import { bashCompletion, commandTree, zshCompletion } from "./completion.ts"
import { buildProgram } from "./program.ts"

const complete = (...words: string[]): string[] => {
  const line = words.map((word) => `'${word}'`).join(" ")
  const script = `${bashCompletion(buildProgram())}
COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _fractus; printf '%s\\n' "\${COMPREPLY[@]}"`
  return execFileSync("bash", ["-c", script], { encoding: "utf8" })
    .split("\n")
    .filter((word) => word !== "")
}

test("bash completes commands, options, choices and subcommands", () => {
  assert.deepEqual(complete("fractus", "do"), ["down", "doctor"])
  assert.deepEqual(complete("fractus", "up", "--eng"), ["--engine"])
  assert.deepEqual(complete("fractus", "up", "--engine", "q"), ["qemu"])
  assert.deepEqual(complete("fractus", "image", "b"), ["build"])
  assert.deepEqual(complete("fractus", "account", "list", "--j"), ["--json"])
  assert.deepEqual(complete("fractus", "test", "v"), ["vm"])
  assert.deepEqual(complete("fractus", "try", "--engine", "s"), ["sim"])
})

test("zsh gets bash's function through bashcompinit", () => {
  assert.match(zshCompletion(buildProgram()), /bashcompinit\n[^]*complete .*_fractus fractus/)
})

test("every command of the contract is in the tree, and takes --home where it works on one", () => {
  const tree = commandTree(buildProgram())
  const names = [
    "up",
    "down",
    "restart",
    "status",
    "doctor",
    "env",
    "aws",
    "ssh",
    "logs",
    "image list",
    "image build",
    "image remove",
    "account create",
    "account list",
    "test",
    "bench",
  ]
  for (const name of names)
    assert.ok(
      tree.get(name)?.options.some(({ flag }) => flag === "--home"),
      name,
    )
  assert.ok(tree.has("completion"))
  const up = [
    "--home",
    "--port",
    "--engine",
    "--auth",
    "--unknown-ami",
    "--sim-speed",
    "--warm",
    "--warm-pool",
    "--public-cidr",
    "--tls",
    "--no-tls",
    "--foreground",
    "--yes",
    "--no-profile",
    "--demo",
  ]
  const flags = tree.get("up")?.options.map(({ flag }) => flag) ?? []
  assert.deepEqual(
    up.filter((flag) => !flags.includes(flag)),
    [],
  )
})
