/** What a home knows of its images beyond what its daemon says: how far a build is, and why one failed. */
import { join } from "node:path"
import { readAsked, readFailure } from "#images/asked.ts"
import { catalog } from "#images/catalog.ts"
import { readImage } from "#images/image-folder.ts"
import { readStatus } from "../daemon/api.ts"
import { type DaemonRecord, homeFiles } from "../home.ts"

/** A row of `image list --json` and of `status --json`. */
export type ImageRow = {
  id: string
  name: string
  /** as DescribeImages says it; `failed` and `not built` are in no cloud */
  state: string
  /** of a build: 0 to 100, and what is done now */
  percent?: number
  step?: string
  /** why it failed, and the commands that mend it */
  reason?: string
  mend?: readonly string[]
}

/** One that this home could build. */
export const notBuilt = ({ id, name }: { id: string; name: string }): ImageRow => ({ id, name, state: "not built" })

/** Adds what the home knows to the rows of its daemon; images whose build failed come after them. */
export const withBuilds = (home: string, rows: readonly ImageRow[]): ImageRow[] => {
  const directory = homeFiles(home).images
  const asked = readAsked(directory)
  const told = rows.map((row): ImageRow => {
    const build = row.state === "pending" ? asked.find(({ id }) => id === row.id) : undefined
    return build === undefined ? row : { ...row, percent: Math.floor(build.fraction * 100), step: build.step }
  })
  const failed = catalog.flatMap(({ id, name }): ImageRow[] => {
    const failure = rows.some((row) => row.id === id) ? undefined : readFailure(directory, id)
    return failure === undefined ? [] : [{ id, name, state: "failed", reason: failure.message, mend: failure.mend }]
  })
  return [...told, ...failed]
}

/** As the daemon says; without one, as the folder does. */
export const imagesOf = async (home: string, daemon: DaemonRecord | undefined): Promise<ImageRow[]> => {
  if (daemon !== undefined) return withBuilds(home, (await readStatus(daemon.endpoint)).images)
  const directory = homeFiles(home).images
  const built = (await Promise.all(catalog.map(({ id }) => readImage(join(directory, id))))).filter(
    (image) => image !== undefined,
  )
  const pending = readAsked(directory).filter(({ id }) => !built.some((image) => image.id === id))
  return withBuilds(home, [
    ...built.map(({ id, name }) => ({ id, name, state: "available" })),
    ...pending.map(({ id, name }) => ({ id, name, state: "pending" })),
  ])
}

/** Its cells: id, name, state, and how far or why. */
export const imageCells = ({ id, name, state, percent, step, reason }: ImageRow): string[] => [
  id,
  name,
  percent === undefined ? state : `${state} ${percent} %`,
  (reason ?? step ?? "").split("\n")[0] ?? "",
]
