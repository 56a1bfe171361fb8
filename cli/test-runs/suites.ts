import { globSync } from "node:fs"
import { repository } from "../repository.ts"

export type SuiteName = "unit" | "api" | "vm" | "faults" | "long"

/** What `fractus test` knows, in the order in which `all` runs them. */
export const suiteNames: readonly SuiteName[] = ["unit", "api", "vm", "faults", "long"]

/** What it runs when it is told no name: all but hostile guests, kills and full disks, and guests that take minutes. */
export const usualSuites: readonly SuiteName[] = ["unit", "api", "vm"]

/** Suites with real guests, which need root. */
export const hasGuests = (name: SuiteName): boolean => name === "vm" || name === "faults" || name === "long"

/** Longest time of one test file. */
export const deadlineMs: Record<SuiteName, number> = {
  unit: 300_000,
  api: 300_000,
  vm: 900_000,
  faults: 900_000,
  long: 1_200_000,
}

/**
 * How many test files of each suite run at once. Guests mostly wait: for a boot, a lease, a deadline. But emulated kernels lose timers on
 * a machine that is busy for minutes, so what loads it most runs by itself.
 */
export const concurrency: Record<SuiteName, number> = { unit: 2, api: 2, vm: 3, faults: 1, long: 1 }

/** A test of the whole machine's state, or of time under load: nothing else runs beside it. */
export const runsAlone = (path: string): boolean => /\.alone\.test\.[jt]s$/.test(path)

const isVirtualMachineTest = (path: string): boolean => path.endsWith(".vm.test.ts") || path.startsWith("tests/vm/")
const isApiTest = (path: string): boolean => path.startsWith("tests/clients/") || path.startsWith("tests/faults/")

/** The suite a test file belongs to, by its path inside the repository. */
export const suiteOf = (path: string): SuiteName => {
  if (path.endsWith(".faults.test.ts")) return "faults"
  if (path.endsWith(".long.test.ts")) return "long"
  if (isVirtualMachineTest(path)) return "vm"
  return isApiTest(path) ? "api" : "unit"
}

/** The files of a suite, relative to the repository. Those of `tests/`, which take longest, come first: short ones fill the end. */
export const filesOf = (suite: SuiteName, root = repository): string[] =>
  globSync("**/*.test.ts", { cwd: root, exclude: (name) => name === "node_modules" || name.startsWith(".") })
    .filter((path) => suiteOf(path) === suite)
    .toSorted()
    .toReversed()
