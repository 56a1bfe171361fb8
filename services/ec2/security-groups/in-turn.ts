/**
 * Changes of one group, one after the other. The version of its record already keeps them apart, by running the later ones again;
 * but tools put dozens of rules into one group at once, more than a call is run again for. So they wait their turn here first.
 */
import type { Call } from "#cloud/call.ts"

interface Named {
  readonly GroupId?: string | undefined
  readonly GroupName?: string | undefined
}

/** The last change in line of each group; how many can wait is bounded by the requests in flight. */
const lines = new Map<string, Promise<void>>()

/**
 * Runs `work` (which reads, drafts and commits) when no other change of these groups is running in this process. It stands in all
 * their lines at once, so two that want the same groups cannot wait for each other.
 */
export async function inTurnOf<O>(call: Call, groups: readonly string[], work: () => Promise<O>): Promise<O> {
  const keys = [...new Set(groups)].map((group) => `${call.account}/${call.region}/${group}`)
  const mine = Promise.all(keys.map((key) => lines.get(key) ?? Promise.resolve())).then(work)
  const end = mine.then(ignore, ignore)
  for (const key of keys) lines.set(key, end)
  try {
    return await mine
  } finally {
    for (const key of keys) if (lines.get(key) === end) lines.delete(key)
  }
}

/** The same handler, in turn of the group that its request names. */
export function inTurn<I extends Named, O>(
  handler: (input: I, call: Call) => Promise<O>,
): (input: I, call: Call) => Promise<O> {
  return (input, call) => inTurnOf(call, [input.GroupId ?? input.GroupName ?? ""], () => handler(input, call))
}

const ignore = () => {}
