/** The one place that says yes or no. Today every key is its account's root user, who may do everything in that account. */
import { raise } from "../errors.ts"
import type { Resource } from "../resources/kind.ts"

export interface Principal {
  readonly account: string
  readonly arn: string
}

/**
 * Refuses an action on resources of another account. Public resources (account "fractus") may be read and used, not changed:
 * callers pass only what they mean to change.
 */
export function authorize(principal: Principal, _action: string, resources: readonly Resource[]): void {
  if (resources.some((resource) => resource.account !== principal.account)) throw raise("UnauthorizedOperation")
}
