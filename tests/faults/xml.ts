/** A strict reader of the XML that the daemon answers with: whatever is not well-formed throws. */

export interface Element {
  readonly name: string
  readonly text: string
  readonly children: readonly Element[]
}

interface Open {
  readonly name: string
  text: string
  readonly children: Element[]
}

const token = /<\?xml [^?]*\?>|<\/([\w.:-]+)>|<([\w.:-]+)((?: [\w.:-]+="[^"<]*")*)(\/?)>|([^<]+)/y
const reference = /&(?:(amp|lt|gt|quot|apos)|#x([0-9a-fA-F]+)|#([0-9]+));|&/g
const named: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" }
/** What is no Char of XML 1.0, lone surrogates among it. */
const illegal =
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/

/** The root element. Throws SyntaxError with the place. */
export function parseXml(source: string): Element {
  const root: Open = { name: "", text: "", children: [] }
  const stack: Open[] = [root]
  const fail = (why: string, at: number): never => {
    throw new SyntaxError(`${why} at ${at}: ${source.slice(Math.max(0, at - 60), at + 60)}`)
  }
  if (illegal.test(source)) fail("an illegal character", source.search(illegal))
  let at = 0
  while (at < source.length) {
    token.lastIndex = at
    const found = token.exec(source)
    if (found === null) return fail("no markup", at)
    const [all, closed, opened, , empty, text] = found
    const top = stack.at(-1) as Open
    if (closed !== undefined) {
      if (closed !== top.name) fail(`</${closed}> closes <${top.name}>`, at)
      stack.pop()
    } else if (opened !== undefined) {
      const element: Open = { name: opened, text: "", children: [] }
      top.children.push(element)
      if (empty === "") stack.push(element)
    } else if (text !== undefined) {
      if (top === root && text.trim() !== "") fail("text outside of the root", at)
      top.text += text.replace(reference, (whole, name?: string, hex?: string, decimal?: string) =>
        name === undefined ? character(whole, hex, decimal) : (named[name] as string),
      )
    } else if (at !== 0) fail("a declaration inside", at)
    at += all.length
  }
  const [only, ...others] = root.children
  if (stack.length !== 1 || only === undefined || others.length > 0) return fail("not one whole element", at)
  return only
}

function character(whole: string, hex: string | undefined, decimal: string | undefined): string {
  const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
  const text = Number.isInteger(code) && code <= 0x10ffff ? String.fromCodePoint(code) : "\u0000"
  if (illegal.test(text)) throw new SyntaxError(`not a reference to a character: ${whole}`)
  return text
}

/** All elements of a name, at any depth, in order. */
export function findAll(element: Element, name: string): readonly Element[] {
  return element.children.flatMap((child) => [...(child.name === name ? [child] : []), ...findAll(child, name)])
}

/** The children that are reached by names; "item" goes through all items. */
export function at(element: Element, ...path: readonly string[]): readonly Element[] {
  let found: readonly Element[] = [element]
  for (const name of path) found = found.flatMap(({ children }) => children.filter((child) => child.name === name))
  return found
}

/** The text at a path, or undefined. */
export function textAt(element: Element, ...path: readonly string[]): string | undefined {
  return at(element, ...path)[0]?.text
}
