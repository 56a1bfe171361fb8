/**
 * `node docs/pictures/draw.ts`: draws session.json as a terminal, ../guide/pictures/session.svg. It brings its own dark ground, so it
 * reads the same on a light and on a dark page. Nothing is left out and nothing added but the prompts; long lines are folded.
 */
import { readFileSync, writeFileSync } from "node:fs"
import type { Step } from "./record.ts"

const columns = 101
const characterWidth = 8
const lineHeight = 19
const margin = 20
/** Above each command but the first. */
const gap = 5
const ink = { ground: "#11151c", prompt: "#7ee0a8", command: "#f2f5f8", output: "#a9b4c2" } as const

interface Line {
  readonly prompt: string
  readonly text: string
  readonly fill: string
  readonly first: boolean
}

/** A tab goes to the next eighth column, as on a terminal. */
const untabbed = (text: string): string =>
  text.replaceAll(/[^\t\n]*\t/g, (part) => part.slice(0, -1).padEnd(Math.ceil(part.length / 8) * 8))

const folded = (text: string, width: number): string[] =>
  text === "" ? [""] : (text.match(new RegExp(`.{1,${width}}`, "gu")) ?? [])

function linesOf({ command, output }: Step): readonly Line[] {
  const typed = command.split("\n").flatMap((line, at) =>
    folded(line, columns - 2).map((text, part) => ({
      prompt: part > 0 ? "  " : at === 0 ? "# " : "> ",
      text,
      fill: ink.command,
      first: at === 0 && part === 0,
    })),
  )
  const printed = output === "" ? [] : untabbed(output.replace(/\n+$/, "")).split("\n")
  return [
    ...typed,
    ...printed.flatMap((line) =>
      folded(line, columns).map((text) => ({ prompt: "", text, fill: ink.output, first: false })),
    ),
  ]
}

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

/** One text of a known width, whatever font the reader has. */
const textAt = (column: number, y: number, text: string, fill: string): string =>
  text.trim() === ""
    ? ""
    : `<text x="${margin + column * characterWidth}" y="${y}" fill="${fill}" textLength="${text.length * characterWidth}">` +
      `${escaped(text)}</text>`

export function picture(steps: readonly Step[]): string {
  const lines = steps.flatMap(linesOf)
  let bottom = margin - gap
  const texts = lines.flatMap(({ prompt, text, fill, first }) => {
    bottom += lineHeight + (first ? gap : 0)
    const y = bottom - lineHeight / 4
    return [textAt(0, y, prompt.trimEnd(), ink.prompt), textAt(prompt.length, y, text.trimEnd(), fill)]
  })
  const [width, height] = [columns * characterWidth + 2 * margin, bottom + margin]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img"`,
    `  aria-label="A terminal: a cloud is started, an instance launched, logged in to, and explained step by step"`,
    `  font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="13.2">`,
    "<style>text { white-space: pre }</style>",
    `<rect width="100%" height="100%" rx="10" fill="${ink.ground}" stroke="#39424f"/>`,
    ...texts.filter((text) => text !== ""),
    "</svg>",
    "",
  ].join("\n")
}

if (import.meta.main) {
  const steps = JSON.parse(readFileSync(new URL("session.json", import.meta.url), "utf8")) as readonly Step[]
  writeFileSync(new URL("../guide/pictures/session.svg", import.meta.url), picture(steps))
}
