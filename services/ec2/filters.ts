/** Filters and pages as EC2 spells them. */
import type { Filter } from "#cloud/resources/describe.ts"

/** Filters with the older names that the API still takes turned into today's. */
export function renamed(
  filters: readonly Filter[] | undefined,
  names: Readonly<Record<string, string>>,
): readonly Filter[] | undefined {
  const named = (name: string) => (Object.hasOwn(names, name) ? names[name] : name)
  return filters?.map((filter) => ({ ...filter, Name: filter.Name === undefined ? undefined : named(filter.Name) }))
}

/** NextToken of an answer, only where there is more. */
export function nextToken(page: { readonly nextToken?: string }): { NextToken?: string } {
  return page.nextToken === undefined ? {} : { NextToken: page.nextToken }
}

/** Filters and page of a describe operation's input, for `call.describe`. */
export function asked(input: {
  readonly Filters?: readonly Filter[] | undefined
  readonly MaxResults?: number | undefined
  readonly NextToken?: string | undefined
}) {
  return { filters: input.Filters, maxResults: input.MaxResults, nextToken: input.NextToken }
}
