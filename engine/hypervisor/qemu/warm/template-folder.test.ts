import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { test } from "node:test"
import { openTemplateFolder } from "./template-folder.ts"
import { fileIdentity } from "./template-key.ts"

test("a template goes with its image, and no other does", () => {
  const home = mkdtempSync(path.join(tmpdir(), "fr-templates-"))
  try {
    const directory = path.join(home, "templates")
    const file = (name: string) => path.join(home, name)
    const add = (letter: string, image: readonly string[]) => {
      const folder = path.join(directory, letter.repeat(32))
      mkdirSync(folder, { recursive: true })
      for (const each of image) writeFileSync(file(each), each)
      writeFileSync(path.join(folder, "template.json"), "{}")
      const identities = image.map((each) => [file(each), fileIdentity(file(each))])
      writeFileSync(path.join(folder, "image.json"), JSON.stringify(identities))
    }
    add("a", ["kept.qcow2", "kept-kernel"])
    add("b", ["gone.qcow2", "gone-kernel"])
    add("c", ["changed.qcow2", "changed-kernel"])
    add("d", ["damaged.qcow2"])
    rmSync(file("gone-kernel"))
    writeFileSync(file("changed.qcow2"), "another image")
    writeFileSync(path.join(directory, "d".repeat(32), "image.json"), "nonsense")
    assert.deepEqual(openTemplateFolder(directory).tidy(Date.now()).toSorted(), ["b".repeat(32), "c".repeat(32)])
    assert.deepEqual(readdirSync(directory).toSorted(), ["a".repeat(32), "d".repeat(32)])
  } finally {
    rmSync(home, { recursive: true })
  }
})
