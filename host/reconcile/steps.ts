/** Named steps towards a wish: each says what must hold, checks whether it does, and makes it so. Killed anywhere, they start over. */
import { timed } from "#lib/trace.ts"
import type { Trouble } from "../protocol/types.ts"

/** How a pass over one resource ended. A pass that failed throws instead. */
export type Outcome =
  | { readonly kind: "settled" }
  /** Gone, and reported so: the resource can be forgotten. */
  | { readonly kind: "gone" }
  /** Nothing to do until `resource` changes. */
  | { readonly kind: "waiting"; readonly resource: string }
  /** Not a failure: look again after `delayMs` real milliseconds. */
  | { readonly kind: "again"; readonly delayMs: number }

export interface Step<Scene> {
  readonly name: string
  readonly holds: (scene: Scene) => boolean | Promise<boolean>
  /** An outcome returned ends the pass there. */
  readonly make: (scene: Scene) => Promise<Outcome | void>
}

/** A failure with a code of the protocol; anything else that is thrown is "internal". */
export class TroubleError extends Error {
  readonly trouble: Trouble
  constructor(code: Trouble["code"], message: string, final = false) {
    super(message)
    this.name = "TroubleError"
    this.trouble = { code, message, final }
  }
}

/** Run what does not hold, in order. Stops between steps when `superseded` says that the wish is an old one. */
export async function runSteps<Scene>(
  steps: readonly Step<Scene>[],
  scene: Scene,
  superseded: () => boolean,
): Promise<Outcome> {
  for (const step of steps) {
    if (superseded()) return { kind: "again", delayMs: 0 }
    try {
      if (await step.holds(scene)) continue
      const outcome = await timed(
        "step",
        () => step.name,
        () => step.make(scene),
      )
      if (outcome) return outcome
    } catch (error) {
      throw named(step.name, error)
    }
  }
  return { kind: "settled" }
}

function named(step: string, error: unknown): TroubleError {
  const { code, message, final } = troubleOf(error)
  return new TroubleError(code, error instanceof TroubleError ? message : `${step}: ${message}`, final)
}

/** The protocol's words for whatever was thrown. Engines mark a full disk and a key that is gone by `code`. */
export function troubleOf(error: unknown): Trouble {
  if (error instanceof TroubleError) return error.trouble
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  const text = typeof message === "string" ? message : String(error)
  if (code === "no-key") return { code, message: text.slice(0, 2_000), final: true }
  const full = code === "disk-full" || code === "ENOSPC" || code === "EDQUOT"
  return { code: full ? "disk-full" : "internal", message: text.slice(0, 2_000), final: false }
}
