/** Fenced blocks of our documents, for tests that run them as they stand there. */
import assert from "node:assert/strict"
import { read } from "../style/tree.ts"

export interface Block {
  /** The heading that it stands under, without its marks. */
  readonly heading: string
  /** What follows the fence: `sh`, `python`, `sh debian`. */
  readonly language: string
  readonly text: string
}

/** All blocks of a document, in order. */
export function blocksOf(path: string): readonly Block[] {
  const blocks: Block[] = []
  let heading = ""
  for (const [, title, language, text = ""] of read(path).matchAll(/^#+ (.*)$|^```([^\n]*)\n([\s\S]*?)^```$/gm)) {
    if (title !== undefined) heading = title
    else blocks.push({ heading, language: language ?? "", text })
  }
  return blocks
}

/** The blocks of one language as one text; of one heading when it is given. Fails where there is none. */
export function textOf(path: string, language: string, heading?: string): string {
  const found = blocksOf(path).filter(
    (block) => block.language === language && (heading === undefined || block.heading === heading),
  )
  assert.ok(found.length > 0, `${path} has a block of ${language} under "${heading ?? "any heading"}"`)
  return found.map(({ text }) => text).join("")
}
