import { networkConformance } from "../conformance.ts"
import { openLab } from "./lab.ts"

networkConformance("linux, taps", () => openLab({ portKind: "tap" }))
networkConformance("linux, namespaces as guests", () => openLab())
