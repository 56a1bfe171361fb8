import { forThisUser } from "../failure.ts"

/** One check. A `warning` says what will not work or be slow; a `problem` is something wrong. `mend` is a command. */
export type Check = { name: string; state: "ok" | "warning" | "problem"; detail: string; mend?: string }

export const ok = (name: string, detail: string): Check => ({ name, state: "ok", detail })
const mended =
  (state: "warning" | "problem") =>
  (name: string, detail: string, mend: string): Check => ({ name, state, detail, mend: forThisUser(mend) })
export const warning = mended("warning")
export const problem = mended("problem")
