/** What a home's folder of images says of those that are not there: being built, failed to be built, not wanted. A small file for each. */
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Holder, readClaim, takeClaim } from "#lib/claim.ts"
import { catalog } from "./catalog.ts"
import type { CatalogImage } from "./catalog.ts"

export interface AskedImage extends CatalogImage {
  readonly askedMs: number
  readonly builder: Holder
  /** Of the whole build, 0 to 1. */
  readonly fraction: number
  readonly step: string
}

export interface Asked {
  /** How far it is; written when the percentage changes. */
  report(fraction: number, step: string): void
  end(): void
}

/** Why the last try came to nothing, and the commands that mend it. */
export interface BuildFailure {
  readonly message: string
  readonly mend: readonly string[]
  readonly failedMs: number
}

const fileOf = (directory: string, what: "asked" | "failed" | "declined", id: string): string =>
  join(directory, `.${what}-${id}.json`)

/** Says in `directory`, a home's images, that this process builds an image. Undefined while another living process does. */
export function askFor(directory: string, id: string, askedMs: number): Asked | undefined {
  mkdirSync(directory, { recursive: true })
  const said = { askedMs, fraction: 0, step: "beginning" }
  const claim = takeClaim(fileOf(directory, "asked", id), said)
  let last = "0 beginning"
  return (
    claim && {
      report(fraction, step) {
        const now = `${Math.floor(fraction * 100)} ${step}`
        if (now !== last) claim.say({ askedMs, fraction, step })
        last = now
      },
      end: () => claim.release(),
    }
  )
}

/** Images of the catalog that a living process builds into this home now. Remains of one that was killed do not count. */
export function readAsked(directory: string): readonly AskedImage[] {
  const names = namesIn(directory)
  return catalog
    .filter(({ id }) => names.includes(`.asked-${id}.json`))
    .flatMap((image) => {
      const said = readClaim(fileOf(directory, "asked", image.id))
      if (said === undefined) return []
      const { pid, startTime, askedMs, fraction, step } = said
      return [
        {
          ...image,
          builder: { pid, startTime },
          askedMs: Number(askedMs),
          fraction: Number(fraction ?? 0),
          step: String(step),
        },
      ]
    })
}

/** Keeps why an image could not be built, until it is there or `undefined` is given. */
export function keepFailure(directory: string, id: string, failure: BuildFailure | undefined): void {
  const path = fileOf(directory, "failed", id)
  if (failure === undefined) return rmSync(path, { force: true })
  writeFileSync(`${path}.new`, `${JSON.stringify(failure)}\n`)
  renameSync(`${path}.new`, path)
}

export function readFailure(directory: string, id: string): BuildFailure | undefined {
  try {
    const { message, mend, failedMs } = JSON.parse(
      readFileSync(fileOf(directory, "failed", id), "utf8"),
    ) as BuildFailure
    return { message, mend: [...mend], failedMs }
  } catch {
    return undefined
  }
}

/** Whoever removed an image does not want it back by itself. */
export function decline(directory: string, id: string, isDeclined: boolean): void {
  const path = fileOf(directory, "declined", id)
  if (isDeclined) writeFileSync(path, "{}\n")
  else rmSync(path, { force: true })
}

/** Images that belong into every home, save those that its user removed. */
export function wanted(directory: string): readonly CatalogImage[] {
  const names = namesIn(directory)
  return catalog.filter(({ id, build }) => build === "later" && !names.includes(`.declined-${id}.json`))
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    return [] // a home without images
  }
}
