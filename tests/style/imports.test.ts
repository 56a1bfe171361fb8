/** Imports point down only: ARCHITECTURE.md draws the arrows, this file holds them. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { dirname, join, normalize } from "node:path"
import { files, read } from "./tree.ts"

/** Folder -> folders it may import. Types of `host/protocol` are what the control plane knows of hosts. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  store: ["lib"],
  wire: ["lib"],
  engine: ["lib", "engine/objects"],
  "engine/objects": ["lib"],
  images: ["lib"],
  "guest-services": ["lib", "host/protocol"],
  "host/protocol": ["engine"],
  host: ["host/protocol", "engine", "lib"],
  cloud: ["store", "lib", "host/protocol"],
  services: ["cloud", "store", "lib", "wire", "host/protocol", "engine/objects"],
  daemon: [
    "services",
    "cloud",
    "store",
    "wire",
    "host",
    "host/protocol",
    "engine",
    "engine/objects",
    "images",
    "guest-services",
    "lib",
  ],
  cli: ["images", "lib"],
}
/** Tests may look at what they test and at what they test it with. */
const isTest = (path: string) => /(\.test\.ts|\/(fixture|conformance|testing|lab|harness|faults)[/.])/.test(path)
const typesOnly: ReadonlySet<string | undefined> = new Set(["host/protocol", "engine/objects"])

const areas = Object.keys(arrows).toSorted((a, b) => b.length - a.length)
const areaOf = (path: string) => areas.find((area) => path === area || path.startsWith(`${area}/`))

interface Import {
  readonly from: string
  readonly to: string
  readonly types: boolean
}

function importsOf(path: string): readonly Import[] {
  const found: Import[] = []
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?[^"'()]*?from\s+["']([^"']+)["']|import\(\s*["']([^"']+)["']\s*\)|(?:^|\n)import\s+["']([^"']+)["']/g
  for (const match of read(path).matchAll(pattern)) {
    const name = match[2] ?? match[3] ?? match[4] ?? ""
    const to = name.startsWith("#")
      ? name.slice(1)
      : name.startsWith(".")
        ? normalize(join(dirname(path), name))
        : undefined
    if (to !== undefined) found.push({ from: path, to, types: match[1] !== undefined })
  }
  return found
}

const code = files("*.ts").filter((path) => areaOf(path) !== undefined && !isTest(path))

test("imports go along the arrows of ARCHITECTURE.md only", () => {
  const wrong = code.flatMap(importsOf).filter(({ from, to }) => {
    const [own, other] = [areaOf(from), areaOf(to)]
    if (own === undefined || other === own) return false
    return other === undefined || !(arrows[own] ?? []).includes(other)
  })
  assert.deepEqual(
    wrong.map(({ from, to }) => `${from} -> ${to}`),
    [],
  )
})

test("the control plane takes only types from the host and from the engine of objects", () => {
  const wrong = code
    .flatMap(importsOf)
    .filter(({ from, to, types }) => typesOnly.has(areaOf(to)) && /^(cloud|services)\//.test(from) && !types)
  assert.deepEqual(
    wrong.map(({ from, to }) => `${from} -> ${to}`),
    [],
  )
})

test("one folder of the wire knows the SDK's schema library", () => {
  const importers = code.filter((path) => /["']@smithy\/core/.test(read(path))).map((path) => dirname(path))
  assert.deepEqual([...new Set(importers)], ["wire/schema"])
})

test("the check sees imports at all", () => {
  assert.ok(code.flatMap(importsOf).length > 300)
})
