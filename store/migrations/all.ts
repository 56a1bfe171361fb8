import { sql as tables } from "./0001-tables.ts"

/** Every migration in order; the number of a file is its place here, and `user_version` of a store that has it. */
export const migrations: readonly string[] = [tables]
