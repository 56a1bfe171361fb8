/** Compiles the programs of `agent/`: the agent, which makes a clone of a warm template the machine that it is to be, `quick-answers` and `temporary-keys`. */
import { mkdir } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { ImageError, run } from "./command.ts"

const folder = join(import.meta.dirname, "agent")
const sourceOf = (name: string) => join(folder, `${name}.c`)
export const agentSource = sourceOf("agent")

/**
 * A static program of one C file at `target`, by the compiler and the C library among the unpacked `packages`: tcc and musl are 0.9 MB
 * to fetch and take milliseconds, where gcc is 60 MB. Throws ImageError with the compiler's words.
 */
export async function buildStatic(packages: string, source: string, target: string): Promise<void> {
  const compiler = join(packages, "usr/lib/x86_64-linux-gnu/tcc")
  const library = join(packages, "usr/lib/x86_64-linux-musl")
  const headers = [join(packages, "usr/include/x86_64-linux-musl"), join(compiler, "include"), folder]
  const [start, first, last, standard] = ["crt1.o", "crti.o", "crtn.o", "libc.a"].map((name) => join(library, name))
  const flags = ["-Wall", "-Werror", "-static", "-nostdinc", "-nostdlib", "-B", compiler, "-o", target]
  const parts = [start!, first!, source, standard!, join(compiler, "libtcc1.a"), last!]
  await mkdir(dirname(target), { recursive: true })
  await run(join(packages, "usr/bin/tcc"), [...flags, ...headers.flatMap((folder) => ["-I", folder]), ...parts]).catch(
    (error: unknown) => {
      throw new ImageError("failed", `${basename(source)} does not compile: ${String(error)}`, { cause: error })
    },
  )
}

/** Into a folder of the image. */
export async function buildPrograms(packages: string, target: string): Promise<void> {
  for (const name of ["agent", "quick-answers", "temporary-keys"])
    await buildStatic(packages, sourceOf(name), join(target, name))
}
