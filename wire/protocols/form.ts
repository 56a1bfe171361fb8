/** Query strings and form bodies as a tree: "Filter.1.Value.2=x" stands four levels deep. */
import { Fault } from "#lib/fault.ts"

export interface FormNode {
  value?: string
  children?: Map<string, FormNode>
}

export interface FormLimits {
  readonly depth: number
  readonly members: number
}

// XML 1.0 cannot say these, so nothing that holds them could ever be described again.
// oxlint-disable-next-line no-control-regex
const unspeakable = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/

/**
 * Parses the given texts as one form. Throws MalformedQueryString (bad percent-encoding, bytes that are no UTF-8, too
 * deep, too many), InvalidQueryParameter (a name given twice) and InvalidCharacter.
 */
export function parseForm(texts: readonly string[], limits: FormLimits): FormNode {
  const root: FormNode = {}
  let members = 0
  for (const text of texts) {
    for (let start = 0; start < text.length;) {
      const ampersand = text.indexOf("&", start)
      const end = ampersand < 0 ? text.length : ampersand
      if (end > start) {
        if (++members > limits.members) throw malformed(`The request has more than ${limits.members} parameters`)
        addPair(root, text.slice(start, end), limits.depth)
      }
      start = end + 1
    }
  }
  return root
}

function addPair(root: FormNode, pair: string, depth: number): void {
  const equals = pair.indexOf("=")
  const name = decode(equals < 0 ? pair : pair.slice(0, equals))
  const value = equals < 0 ? "" : decode(pair.slice(equals + 1))
  if (unspeakable.test(name) || unspeakable.test(value)) {
    throw new Fault("InvalidCharacter", `A specified character is invalid in parameter ${shown(name)}`)
  }
  let node = root
  let levels = 0
  for (let start = 0; start <= name.length;) {
    if (++levels > depth) throw malformed("A parameter's name has too many parts")
    const dot = name.indexOf(".", start)
    const end = dot < 0 ? name.length : dot
    const part = name.slice(start, end)
    node.children ??= new Map()
    let child = node.children.get(part)
    if (!child) node.children.set(part, (child = {}))
    node = child
    start = end + 1
  }
  if (node.value !== undefined) {
    throw new Fault("InvalidQueryParameter", `The parameter ${shown(name)} may only be specified once`)
  }
  node.value = value
}

function decode(text: string): string {
  if (!text.includes("%") && !text.includes("+")) return text
  try {
    return decodeURIComponent(text.replaceAll("+", " "))
  } catch {
    throw malformed("The query string contains a syntax error")
  }
}

function malformed(message: string): Fault {
  return new Fault("MalformedQueryString", message)
}

/** A client's text as it may stand in a message: long ones are cut. */
export function shown(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200).toWellFormed()}...`
}
