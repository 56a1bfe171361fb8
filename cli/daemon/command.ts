import { compiledFolder } from "../compiled.ts"
import { type Config, homeFiles } from "../home.ts"

/** The environment that daemons and builders start with: the caller's AWS keys and Node options are none of its business. */
export const cleanEnvironment = (): NodeJS.ProcessEnv => {
  const env: NodeJS.ProcessEnv = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^(AWS_|NODE_|BOTO_|SUDO_|LD_|npm_)/.test(name)) env[name] = value
  }
  const directories = new Set([...(env.PATH ?? "").split(":"), "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
  env.PATH = [...directories].filter((directory) => directory.startsWith("/")).join(":")
  return env
}

/**
 * Young objects of a daemon die at once; room for more of them is memory that it never gives back (30 MB under load), and collecting so
 * few in several threads costs a twentieth of all that a short call does. On qemu this is
 * the host, which mostly waits for other programs: it does without the optimizing compiler and its threads (8 MB).
 */
const flags = {
  sim: ["--max-semi-space-size=4", "--no-parallel-scavenge"],
  qemu: [
    "--max-semi-space-size=1",
    "--no-opt",
    "--optimize-for-size",
    "--v8-pool-size=1",
    // Two functions of the C library through node:ffi: sealed memory for warm templates.
    "--disable-warning=ExperimentalWarning",
  ],
} as const

/**
 * The C library would keep a heap for each of Node's helping threads, and in each what was freed: 6 MB of a simulated cloud after a thousand calls.
 * The host on qemu hands its environment on to QEMU, and does without.
 */
const fewHeaps = { MALLOC_ARENA_MAX: "2" }

/** How a daemon is run on a home: arguments for Node and the environment. Benchmarks start it the same way. */
export const daemonCommand = (
  { home, engine }: Pick<Config, "home" | "engine">,
  main: string,
): { argv: string[]; env: NodeJS.ProcessEnv } => ({
  argv: [...flags[engine], main, homeFiles(home).config],
  env: { ...cleanEnvironment(), NODE_COMPILE_CACHE: compiledFolder(), ...(engine === "sim" && fewHeaps) },
})
