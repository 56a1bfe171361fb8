/** Tables that count while they stand: written anew only when they are not what we left, since each writing forgets the counts. */
import { createHash } from "node:crypto"
import { run } from "./command.ts"
import { inside, type Namespace, nft } from "./namespaces.ts"

/** By namespace and table: what was asked for, and how the kernel showed it. Of this process alone: the next one writes anew. */
const left = new Map<string, { readonly text: string; readonly shown: string }>()

/** Rules and sets, without what counts and without what sets learnt by themselves. Undefined where there is no table. */
async function show(namespace: Namespace, table: string): Promise<string | undefined> {
  const argv = [...inside(namespace), "nft", "--stateless", "--terse", "list", "table", ...table.split(" ")]
  const text = await run(argv).catch(() => undefined)
  return text && createHash("sha256").update(text).digest("hex")
}

/** Make `table` ("inet fractus") be what `content` says between its braces. Atomic; nothing is touched when it is so already. */
export async function keepTable(namespace: Namespace, table: string, content: string): Promise<void> {
  const key = `${namespace ?? ""} ${table}`
  const known = left.get(key)
  if (known?.text === content && (await show(namespace, table)) === known.shown) return
  await nft(namespace, `table ${table}\ndelete table ${table}\ntable ${table} {\n${content}}\n`)
  const shown = await show(namespace, table)
  if (shown !== undefined) left.set(key, { text: content, shown })
}

/** The namespace or the table was removed, or what was learnt is to be forgotten. */
export const forgetTable = (namespace: Namespace, table: string) => void left.delete(`${namespace ?? ""} ${table}`)
