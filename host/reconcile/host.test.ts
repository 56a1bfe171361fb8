import { hostConformance } from "../conformance.ts"

hostConformance("memory", async (host) => ({ ...host, close: async () => {} }))
