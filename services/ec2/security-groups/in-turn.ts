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

/** The same handler, run when no other change of the same group is running in this process. */
export function inTurn<I extends Named, O>(
  handler: (input: I, call: Call) => Promise<O>,
): (input: I, call: Call) => Promise<O> {
  return async (input, call) => {
    const group = `${call.account}/${call.region}/${input.GroupId ?? input.GroupName}`
    const mine = (lines.get(group) ?? Promise.resolve()).then(() => handler(input, call))
    const end = mine.then(ignore, ignore)
    lines.set(group, end)
    try {
      return await mine
    } finally {
      if (lines.get(group) === end) lines.delete(group)
    }
  }
}

const ignore = () => {}
