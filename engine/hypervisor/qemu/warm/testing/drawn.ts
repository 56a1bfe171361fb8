/** For the proof that clones share nothing: an image whose clones write down what they draw before anything else has drawn. */
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import path from "node:path"
import { agentSource, buildStatic } from "#images/agent.ts"
import { defaultCacheDirectory } from "#images/build.ts"
import { microRecipe } from "#images/micro/recipe.ts"
import { downloadPackages, resolvePackages, unpackPackages } from "#images/packages.ts"

const folder = "/usr/lib/fractus"

/** The programs to put into the image; `clean` removes what they were made of. */
export interface Programs {
  /** Changes a raw disk of the micro image. */
  install(disk: string): void
  clean(): void
}

/** `without`: a step of the agent that its clones are to do without. */
export async function drawingPrograms(without?: string): Promise<Programs> {
  const work = mkdtempSync(path.join(tmpdir(), "fr-drawn-"))
  const clean = () => rmSync(work, { recursive: true, force: true })
  try {
    const packages = await unpackCompiler(path.join(work, "packages"))
    const programs = new Map([["template", path.join(work, "template")]])
    writeFileSync(path.join(work, "template"), templateScript())
    const sources = { first: readFileSync(path.join(import.meta.dirname, "first.c"), "utf8") }
    const wanted = without === undefined ? sources : { ...sources, agent: agentWithout(without) }
    for (const [name, text] of Object.entries(wanted)) {
      const source = path.join(work, `${name}.c`)
      writeFileSync(source, text)
      await buildStatic(packages, source, path.join(work, name))
      programs.set(name, path.join(work, name))
    }
    return { install: (disk) => install(disk, programs), clean }
  } catch (error) {
    clean()
    throw error
  }
}

/** The compiler that images are built with. */
async function unpackCompiler(target: string): Promise<string> {
  const wanted = new Set(microRecipe.buildPackages)
  const packages = (await resolvePackages(microRecipe, defaultCacheDirectory)).filter(({ name }) => wanted.has(name))
  await downloadPackages(packages, defaultCacheDirectory, () => {})
  await unpackPackages(packages, defaultCacheDirectory, target)
  return target
}

/** The micro image's own, with a program before the instance's. */
function templateScript(): string {
  const source = readFileSync(path.join(microRecipe.folder, "root", folder, "template"), "utf8")
  const ending = 'exec /usr/lib/fractus/agent "$port" '
  if (!source.includes(ending)) throw new Error("the template does not end as this test knows it")
  return source.replace(ending, `${folder}/first && ${ending}${folder}/first /run/first `)
}

function agentWithout(step: string): string {
  const source = readFileSync(agentSource, "utf8")
  const changed = source.replace(new RegExp(`^  \\{ "${step}", [^}]*\\},\\n`, "m"), "")
  if (changed === source) throw new Error(`the agent has no step "${step}"`)
  return changed
}

function install(disk: string, programs: ReadonlyMap<string, string>): void {
  const commands = [...programs].flatMap(([name, file]) => [
    `rm ${folder}/${name}`,
    `write ${file} ${folder}/${name}`,
    `sif ${folder}/${name} mode 0100755`,
  ])
  execFileSync("debugfs", ["-w", "-f", "-", `${disk}?offset=1048576`], { input: commands.join("\n"), stdio: "pipe" })
}
