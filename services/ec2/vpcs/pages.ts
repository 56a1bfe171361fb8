/** All resources of a kind that stand in one VPC, however many. */
import type { Call } from "#cloud/call.ts"
import { fromStored, type Kind, type Resource, type Tagged } from "#cloud/resources/kind.ts"

/** By the facet "vpc-id", in the order in which they were made. */
export async function listInVpc<R extends Tagged>(
  call: Call,
  kind: Kind<R>,
  vpc: string,
): Promise<readonly Resource<R>[]> {
  const found: Resource<R>[] = []
  const query = {
    kind: kind.name,
    accounts: [call.account],
    regions: [call.region],
    facets: [{ name: "vpc-id", values: [vpc] }],
    limit: 1000,
  }
  for (let after: number | undefined = 0; after !== undefined;) {
    const page = await call.store.query({ ...query, ...(after === 0 ? {} : { after }) })
    found.push(...page.items.map((stored) => fromStored<R>(stored)))
    after = page.next
  }
  return found
}
