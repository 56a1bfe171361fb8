/** The operations of launch templates. */
import type { Handlers } from "../handler.ts"
import { instanceHandlers } from "./from-instance.ts"
import { templateHandlers } from "./templates.ts"
import { versionHandlers } from "./versions.ts"

export const handlers = { ...instanceHandlers, ...templateHandlers, ...versionHandlers } satisfies Handlers
