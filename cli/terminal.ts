import { styleText } from "node:util"

/** Data for the user or for the next program in the pipe. */
export const print = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

/** Progress and remarks, kept out of the data. */
export const note = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

export const printJson = (value: unknown): void => print(JSON.stringify(value, null, 2))

type Style = "bold" | "dim" | "red" | "green" | "yellow"

/** Colours a word, unless the stream is no terminal or NO_COLOR is set (https://no-color.org). */
export const coloured = (style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string =>
  stream.isTTY && (process.env.NO_COLOR ?? "") === "" ? styleText(style, text, { validateStream: false }) : text

/** One line that is rewritten on a terminal; in a log each new step gets its own line, without the fractions. */
export const progressLine = (): { show: (step: string, fraction?: number) => void; end: () => void } => {
  let lastStep = ""
  let open = false
  return {
    show: (step, fraction) => {
      if (process.stderr.isTTY) {
        const percent = fraction === undefined ? "" : ` ${Math.round(fraction * 100)} %`
        process.stderr.write(`\r\u001b[K${step}${percent}`)
        open = true
      } else if (step !== lastStep) {
        note(step)
      }
      lastStep = step
    },
    end: () => {
      if (open) process.stderr.write("\n")
      open = false
    },
  }
}

/** Rows as aligned columns; every cell of the last column is left as it is. */
export const table = (rows: readonly (readonly string[])[]): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)))
  return rows
    .map((row) => row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))))
    .map((cells) => cells.join("  ").trimEnd())
    .join("\n")
}
