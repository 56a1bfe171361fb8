/** Requests for more, as they are stored. What became of one follows from what the quota is now. */
import { defineKind, type Tagged } from "#cloud/resources/kind.ts"

export interface QuotaRequestRecord extends Tagged {
  readonly service: string
  readonly code: string
  readonly name: string
  readonly desired: number
  readonly requester: string
  readonly createdMs: number
}

export const quotaRequestKind = defineKind<QuotaRequestRecord>({
  name: "quota-request",
  prefix: "quota-request",
  schema: 1,
  notFound: ["NoSuchResourceException", "The request does not exist"],
  malformed: ["NoSuchResourceException", "The request does not exist"],
  facets: ({ record }) => ({ service: record.service, code: record.code }),
})
