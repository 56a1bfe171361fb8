import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { test } from "node:test"
import { environmentLines } from "./commands/env.ts"
import { shellQuote } from "./quote.ts"

test("a shell reads every quoted word back unchanged", () => {
  const words = [
    "",
    "plain",
    "a b",
    "it's",
    "$HOME",
    "`id`",
    'say "x"',
    "line\nline",
    "a;b|c&d",
    "~",
    "*",
    "\\",
    "é",
    "-n",
    "#x",
    "!1",
  ]
  const script = words.map((word) => `printf '%s\\0' ${shellQuote(word)}`).join("\n")
  assert.deepEqual(execFileSync("sh", ["-c", script], { encoding: "utf8" }).split("\0").slice(0, -1), words)
})

test("the lines of env set exactly five variables and unset two", () => {
  const lines = environmentLines({
    endpoint: "http://127.0.0.1:1",
    region: "us-east-1",
    accessKeyId: "AK",
    secretAccessKey: "s'x/+",
  })
  const names = ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION"]
  assert.deepEqual(
    lines.slice(0, -1).map((line) => /^export ([A-Z_]+)=/.exec(line)?.[1]),
    names,
  )
  assert.equal(lines.at(-1), "unset AWS_SESSION_TOKEN AWS_PROFILE")
  const env = { AWS_PROFILE: "mine", AWS_SESSION_TOKEN: "t", PATH: process.env.PATH }
  const shown = execFileSync("sh", ["-c", `${lines.join("\n")}\nenv | grep ^AWS_ | sort`], { encoding: "utf8", env })
  assert.equal(
    shown,
    "AWS_ACCESS_KEY_ID=AK\nAWS_DEFAULT_REGION=us-east-1\nAWS_ENDPOINT_URL=http://127.0.0.1:1\nAWS_REGION=us-east-1\nAWS_SECRET_ACCESS_KEY=s'x/+\n",
  )
})
