import { networkConformance } from "../conformance.ts"
import { openSimNetwork } from "./open.ts"

networkConformance("sim", async () => {
  const engine = await openSimNetwork({ publicCidr: "198.18.0.0/24" })
  return { engine, close: () => engine.close() }
})
