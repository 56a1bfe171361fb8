/** Templates that somebody asks for: `fractus image warm`. Answers at once; whoever asks comes back for the outcome. */
import type { WarmAnswer, WarmKind } from "../protocol/types.ts"
import { nameOf, type TemplateMaker } from "./template-maker.ts"

/** Kinds that are being made at the same time. */
const askedLimit = 16

export function createWarmAsked({ make }: Pick<TemplateMaker, "make">): (kind: WarmKind) => Promise<WarmAnswer> {
  const answers = new Map<string, WarmAnswer>()
  return async (kind) => {
    const name = nameOf(kind)
    const known = answers.get(name)
    // An outcome is told once: the next to ask has it looked at again.
    if (known && known.state !== "making") answers.delete(name)
    if (known) return known
    if (answers.size >= askedLimit) return { state: "refused", why: "too many templates are asked for" }
    answers.set(name, { state: "making" })
    void make(kind).then(
      () => answers.set(name, { state: "ready" }),
      (error: unknown) =>
        answers.set(name, { state: "refused", why: error instanceof Error ? error.message : String(error) }),
    )
    return { state: "making" }
  }
}
