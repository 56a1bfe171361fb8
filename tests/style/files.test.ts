/** Files stay short, folders say what they are, and nothing names the machine it was written on. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { files, read, withoutGit } from "./tree.ts"

const longest = 500
const readmeLines = 40
const unlisted = new Set([".ci", ".github"])

const lines = (path: string) => read(path).split("\n").length - 1

test("no source file is longer than 500 lines", () => {
  const long = files("*.ts").filter(
    (path) => lines(path) > longest && !/^(\/\*\*|\/\/)[^\n]*long because/.test(read(path)),
  )
  assert.deepEqual(long, [])
})

test("every top folder has a README of at most 40 lines", () => {
  const folders = new Set(files().flatMap((path) => (path.includes("/") ? [path.slice(0, path.indexOf("/"))] : [])))
  const without = [...folders].filter(
    (folder) => !unlisted.has(folder) && !files(`${folder}/README.md`).includes(`${folder}/README.md`),
  )
  assert.deepEqual(without, [])
  const long = [...folders].filter((folder) => !unlisted.has(folder) && lines(`${folder}/README.md`) > readmeLines)
  assert.deepEqual(long, [])
})

test("no file names a path of the machine it was written on, or a package registry", () => {
  // Written so that this file does not name them either.
  const forbidden = /\/([w]ork|[f]arm)\/|registry\.[n]pmjs|deb\.[d]ebian\.org/
  const found = files().filter((path) => /\.(ts|mjs|md|json|sh|py)$/.test(path) && forbidden.test(read(path)))
  assert.deepEqual(found, [])
})

test("there are no folders and files that collect what has no place", () => {
  assert.deepEqual(
    files("*.ts").filter((path) => /(^|\/)(utils?|helpers?|common|misc)(\/|\.ts$)/.test(path)),
    [],
  )
})

test("lock files carry no addresses", () => {
  assert.ok(!read("package-lock.json").includes('"resolved": "http'))
})

test("where there is no git the same source files are found", () => {
  assert.deepEqual(withoutGit("*.ts"), files("*.ts").toSorted())
  assert.deepEqual(withoutGit("services/ec2/*.ts"), files("services/ec2/*.ts").toSorted())
})
