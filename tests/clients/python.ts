/** Finds an interpreter that has a module: the first python3 on PATH need not be the one with boto3. */
import { spawnSync } from "node:child_process"

export function findPython(module: string): string | undefined {
  return ["python3", "/usr/bin/python3"].find(
    (name) => spawnSync(name, ["-c", `import ${module}`], { timeout: 30_000 }).status === 0,
  )
}
