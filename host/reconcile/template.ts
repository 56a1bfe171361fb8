/** A template that is assigned is there for its kind of guest, and made again when it is lost; or it is removed, if nobody else wishes it. */
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { WarmTemplates } from "#engine/hypervisor/types.ts"
import type { TemplateAssignment, Trouble, WarmKind } from "../protocol/types.ts"
import type { Log } from "../types.ts"
import { troubleOf, type Outcome } from "./steps.ts"
import type { Pool } from "./pool.ts"
import type { TemplateMaker } from "./template-maker.ts"
import type { Pass, World } from "./world.ts"

/** Which template was made for an assignment: by it, one that nobody assigned is found after a crash. */
export interface TemplateRecords {
  read(resource: string): Promise<string | undefined>
  write(resource: string, template: string): Promise<void>
  remove(resource: string): Promise<void>
  list(): Promise<readonly string[]>
}

export function openTemplateRecords(stateDirectory: string): TemplateRecords {
  const directory = join(stateDirectory, "templates-assigned")
  const pathOf = (resource: string) => {
    if (!/^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/.test(resource)) throw new Error(`not a resource id: ${resource}`)
    return join(directory, resource)
  }
  return {
    read: (resource) => readFile(pathOf(resource), "utf8").catch(missing),
    async write(resource, template) {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      await writeFile(`${pathOf(resource)}.new`, template, { mode: 0o600 })
      await rename(`${pathOf(resource)}.new`, pathOf(resource))
    },
    remove: (resource) => rm(pathOf(resource), { force: true }),
    list: async () => ((await readdir(directory).catch(missing)) ?? []).filter((name) => !name.endsWith(".new")),
  }
}

/** What could not be made is tried again after this long, and with a new wish. */
const patienceMs = 3_600_000

export interface TemplateReconcilerOptions {
  /** Missing where guests always boot. */
  readonly templates: WarmTemplates | undefined
  readonly maker: TemplateMaker | undefined
  /** Missing where no clones are kept waiting. */
  readonly pool?: Pick<Pool, "wish"> | undefined
  readonly records: TemplateRecords
  readonly log: Log
}

/** For whoever may call the API: folders of the host are not said. */
function told({ code, message }: Trouble): Trouble {
  const words =
    code === "disk-full" ? "no space left on the host's disk" : message.replace(/\/[\w.:-]+(\/[\w.:-]*)+/g, "(a file)")
  return { code: code === "internal" ? "no-template" : code, message: words, final: true }
}

const kindOf = ({ image, snapshot, vcpus, memoryMiB, sizeBytes }: TemplateAssignment): WarmKind => ({
  image,
  ...(snapshot !== undefined && { snapshot }),
  vcpus,
  memoryMiB,
  ...(sizeBytes !== undefined && { sizeBytes }),
})

export function createTemplateReconciler(options: TemplateReconcilerOptions): (pass: Pass) => Promise<Outcome> {
  const { templates, maker, pool, records, log } = options
  /** What this process has seen to fit: after an upgrade of QEMU the files of before are there, and of no use. */
  const fitting = new Map<string, string>()
  const failures = new Map<string, { readonly generation: number; readonly atMs: number; readonly trouble: Trouble }>()

  const remove = async ({ entry, world, report }: Pass): Promise<Outcome> => {
    const { resource } = entry
    report({ kind: "template", phase: "pending" })
    failures.delete(resource)
    fitting.delete(resource)
    pool?.wish(resource, undefined)
    const template = await records.read(resource)
    if (template !== undefined && !(await isWished(template, resource, world))) await templates?.remove(template)
    await records.remove(resource)
    report({ kind: "template", phase: "absent" })
    return { kind: "gone" }
  }
  const isWished = async (template: string, apartFrom: string, world: World) => {
    for (const resource of await records.list()) {
      const others = resource !== apartFrom && world.entry(resource)?.wish !== undefined
      if (others && (await records.read(resource)) === template) return true
    }
    return false
  }

  const make = async ({ entry, world, report }: Pass, spec: TemplateAssignment): Promise<void> => {
    const { resource, generation } = entry
    const failed = failures.get(resource)
    const nowMs = world.clock.monotonicMs()
    if (failed && failed.generation === generation && nowMs - failed.atMs < patienceMs)
      return report({ kind: "template", phase: "pending", trouble: failed.trouble })
    report({ kind: "template", phase: "pending" })
    try {
      if (!maker) throw new Error("guests of this host always boot: up --warm on")
      const before = await records.read(resource)
      const template = await maker.make(kindOf(spec))
      await records.write(resource, template)
      fitting.set(resource, template)
      const outdated = before !== undefined && before !== template && !(await isWished(before, resource, world))
      if (outdated) await templates?.remove(before)
      report({ kind: "template", phase: "ready" })
    } catch (error) {
      const trouble = told(troubleOf(error))
      log("host: an assigned template could not be made", { resource, why: String(error).slice(0, 500) })
      failures.set(resource, { generation, atMs: world.clock.monotonicMs(), trouble })
      report({ kind: "template", phase: "pending", trouble })
    }
  }

  return async (pass) => {
    const { entry, world, report } = pass
    const spec = entry.wish
    if (spec?.kind !== "template") return remove(pass)
    // Simulated guests do not boot: there is nothing to be made.
    pool?.wish(entry.resource, { kind: kindOf(spec), count: spec.pool ?? 0 })
    const simulated = !templates && world.hypervisor.name === "sim"
    const template = await records.read(entry.resource)
    // The kind's files may be there for longer than its image.
    if (!(await world.images.find(spec.image))) {
      if (template !== undefined) await templates?.remove(template)
      const message = `image ${spec.image} is not on this host`
      report({ kind: "template", phase: "pending", trouble: { code: "no-image", message, final: true } })
      return { kind: "settled" }
    }
    const fits = template !== undefined && fitting.get(entry.resource) === template
    const there = simulated || (fits && (await templates?.has(template)) === true)
    if (there) report({ kind: "template", phase: "ready" })
    else await make(pass, spec)
    return { kind: "settled" }
  }
}

function missing(error: unknown): undefined {
  if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error
  return undefined
}
