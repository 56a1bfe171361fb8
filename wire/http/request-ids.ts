/** Names of requests. */
import { randomUUID } from "node:crypto"

const counted = 0x1_0000

/**
 * Gives ids of the shape of a random UUID, no two alike: one in 65,536 is drawn, the others count on in its last four digits, as drawing takes
 * several times as long as counting. They name a request and are no secret.
 */
export function createRequestIds(): () => string {
  let start = ""
  let next = counted
  return () => {
    if (next === counted) {
      start = randomUUID().slice(0, -4)
      next = 0
    }
    return start + (counted + next++).toString(16).slice(1)
  }
}
