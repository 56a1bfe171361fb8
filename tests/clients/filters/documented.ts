/** The filters that EC2 documents for an operation, read from the comments of the SDK's own types: they are the API reference's text. */
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "#tests/style/tree.ts"

const types = () =>
  globSync("node_modules/@aws-sdk/client-ec2/dist-types/models/*.d.ts", { cwd: root })
    .map((path) => readFileSync(join(root, path), "utf8"))
    .join("\n")
let text: string | undefined

/** The declaration of an operation's input. */
function inputOf(operation: string): string {
  text ??= types()
  const start = text.indexOf(`export interface ${operation}Request {`)
  if (start === -1) throw new Error(`the SDK's types have no ${operation}Request`)
  return text.slice(start, text.indexOf("\n}\n", start))
}

/** Names of an operation's parameters. */
export function parametersOf(operation: string): readonly string[] {
  return [...inputOf(operation).matchAll(/^ {4}(\w+)\??:/gm)].map(([, name = ""]) => name)
}

/** Names as documented, "tag:<key>" among them. Undefined for an operation without filters. */
export function documentedFilters(operation: string): readonly string[] | undefined {
  const comment = /\/\*\*((?:(?!\*\/)[^])*)\*\/\s*Filters?\?:/.exec(inputOf(operation))?.[1]
  return comment === undefined ? undefined : [...namesIn(comment), ...olderNamesIn(comment)]
}

/** "You can also use availabilityZone as the filter name." */
function olderNamesIn(comment: string): readonly string[] {
  const prose = comment.replaceAll(/[\s*]+/g, " ")
  return [...prose.matchAll(/You can also use ((?:(?!filter name).){1,200}) as the filter names?/g)].flatMap(
    ([, names = ""]) => [...names.matchAll(/<code>([^<]*)<\/code>/g)].map(([, name = ""]) => name),
  )
}

/** The first code of each item of the outer list: inner lists hold a filter's values. */
function namesIn(comment: string): readonly string[] {
  const names: string[] = []
  let depth = 0
  let atItem = false
  for (const [tag, code] of comment.matchAll(/<ul>|<\/ul>|<li>|<code>((?:(?!<\/code>)[^])*)<\/code>/g)) {
    if (tag === "<ul>") depth++
    else if (tag === "</ul>") depth--
    else if (tag === "<li>") atItem = depth === 1
    else if (atItem) {
      // Written as <code>tag</code>:<key> and as <code>tag:<key></code>.
      const name = (code ?? "").replaceAll("&lt;", "<").replaceAll("&gt;", ">")
      names.push(name === "tag" ? "tag:<key>" : name)
      atItem = false
    }
  }
  return names
}
