import { describe } from "node:test"
import { commitTests } from "./conformance/commits.ts"
import { concurrencyTests } from "./conformance/concurrency.ts"
import { ledgerTests } from "./conformance/ledger.ts"
import { modelTests } from "./conformance/model-tests.ts"
import { queryTests } from "./conformance/queries.ts"
import type { OpenStore } from "./conformance/subject.ts"

/**
 * The suite that every driver of the store passes. `open` gives an empty store; `reopen` closes it and opens the same one
 * again; `dispose` closes and removes it.
 */
export function storeConformance(name: string, open: OpenStore): void {
  describe(`${name} store`, () => {
    commitTests(open)
    ledgerTests(open)
    queryTests(open)
    concurrencyTests(open)
    modelTests(open)
  })
}
