import { objectsConformance } from "../conformance.ts"
import { openSimObjects } from "./open.ts"

objectsConformance("sim", openSimObjects)
