/**
 * Readers of query requests, compiled to closures once per structure: a form's tree in, the SDK's typed input out.
 * Rules: https://smithy.io/2.0/aws/protocols/aws-ec2-query-protocol.html and .../aws-query-protocol.html
 */
import { Fault } from "#lib/fault.ts"
import { type FormNode, shown } from "../protocols/form.ts"
import type { QueryProtocol } from "../types.ts"
import { numberType } from "./numbers.ts"
import { type Check, checkOf } from "./constraints/check.ts"
import { rulesOf } from "./constraints/rules.ts"
import { type Broken, brokenBy, inputFault } from "./missing.ts"
import { readBlob, readBoolean, readNumber, readTimestamp } from "./scalars.ts"
import type { Member, Names, Shape } from "./shape.ts"

/** Reads a form whose root holds the operation's parameters. Throws UnknownParameter, MissingParameter and the like. */
export type InputReader = (form: FormNode) => object

interface Context {
  /** Paths of required parameters that are absent. */
  readonly missing: string[]
  /** Values that break a rule of the model. */
  readonly broken: Broken[]
}
type Reader = (node: FormNode, path: string, context: Context) => unknown
type Struct = Extract<Shape, { kind: "struct" }>

/** Parameters of the protocol itself, which no operation's schema names. */
const protocolParameters: ReadonlySet<string> = new Set(["Action", "Version"])
const compiled: Record<QueryProtocol, WeakMap<object, Reader>> = { ec2Query: new WeakMap(), awsQuery: new WeakMap() }

/** The reader of one operation's input. */
export function inputReader(shape: Shape, protocol: QueryProtocol, holdsRules = true): InputReader {
  const read: Reader = shape.kind === "struct" ? structReader(shape, protocol) : refuseChildren
  return (form) => {
    const context: Context = { missing: [], broken: [] }
    const children = new Map(form.children)
    for (const name of protocolParameters) children.delete(name)
    const input = read({ children }, "", context)
    const fault = inputFault(context.missing, holdsRules ? context.broken : [], protocol)
    if (fault) throw fault
    return typeof input === "object" && input !== null ? input : {}
  }
}

const refuseChildren: Reader = (node, path) => {
  refuse(node, path)
  return {}
}

/** Refuses the first parameter at or below a node that nothing asked for. */
function refuse(node: FormNode, path: string): void {
  if (node.value !== undefined) {
    throw new Fault("UnknownParameter", `The parameter ${shown(path)} is not recognized`)
  }
  for (const [name, child] of node.children ?? []) refuse(child, below(path, name))
}

function below(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`
}

function reader(shape: Shape, names: Names, protocol: QueryProtocol, structure: string, member: string): Reader {
  if (shape.kind === "struct") return structReader(shape, protocol)
  if (shape.kind === "list") {
    const element = reader(shape.element(), shape.elementNames, protocol, structure, member)
    return protocol === "ec2Query" || names.flat
      ? flatListReader(element, protocol)
      : nestedListReader(element, shape.elementNames.xmlName ?? "member", protocol)
  }
  if (shape.kind === "map") {
    const value = reader(shape.value(), shape.valueNames, protocol, structure, member)
    return mapReader(value, shape.key.xmlName ?? "key", shape.valueNames.xmlName ?? "value", names.flat)
  }
  return scalarReader(shape, protocol, structure, member)
}

function scalarReader(shape: Shape, protocol: QueryProtocol, structure: string, member: string): Reader {
  const parse = scalarParser(shape, structure, member)
  // EC2 takes "MaxResults=" as if it were not there; an empty text stays one.
  const emptyIsAbsent = protocol === "ec2Query" && shape.kind !== "string"
  return (node, path) => {
    if (node.children) refuse({ children: node.children }, path)
    if (node.value === undefined || (emptyIsAbsent && node.value === "")) return undefined
    return parse(node.value, path)
  }
}

function scalarParser(shape: Shape, structure: string, member: string): (text: string, path: string) => unknown {
  switch (shape.kind) {
    case "string":
      return (text) => text
    case "boolean":
      return readBoolean
    case "blob":
      return readBlob
    case "number": {
      const type = numberType(structure, member)
      return (text, path) => readNumber(text, path, type)
    }
    case "timestamp":
      return (text, path) => readTimestamp(text, path, shape.format ?? "date-time")
    default:
      throw new TypeError(`no parameter can be a ${shape.kind}`)
  }
}

/** Compiled on the first call, so that structures that contain themselves end. */
function structReader(shape: Struct, protocol: QueryProtocol): Reader {
  const known = compiled[protocol].get(shape.identity)
  if (known) return known
  let read: Reader | undefined
  const lazy: Reader = (node, path, context) => {
    read ??= compileStruct(shape, protocol)
    return read(node, path, context)
  }
  compiled[protocol].set(shape.identity, lazy)
  return lazy
}

function compileStruct(shape: Struct, protocol: QueryProtocol): Reader {
  const byKey = new Map<string, { readonly name: string; readonly read: Reader; readonly check: Check | undefined }>()
  const rules = rulesOf(shape)
  const required: { readonly name: string; readonly key: string }[] = []
  for (const member of shape.members()) {
    const key = requestKey(member, protocol)
    byKey.set(key, {
      name: member.name,
      read: reader(member.shape, member.names, protocol, shape.name, member.name),
      check: checkOf(rules[member.name]),
    })
    if (member.required) required.push({ name: member.name, key })
  }
  return (node, path, context) => {
    if (node.value !== undefined && (node.value !== "" || node.children)) refuse({ value: node.value }, path)
    if (!node.children) return undefined
    const input: Record<string, unknown> = {}
    for (const [key, child] of node.children) {
      const member = byKey.get(key)
      if (!member) {
        refuse(child, below(path, key))
        continue
      }
      const value = member.read(child, below(path, key), context)
      if (value === undefined) continue
      input[member.name] = value
      const found = member.check?.(value)
      if (found) context.broken.push(brokenBy(below(path, key), found, protocol))
    }
    for (const member of required) {
      if (input[member.name] === undefined) context.missing.push(below(path, member.key))
    }
    return input
  }
}

function requestKey(member: Member, protocol: QueryProtocol): string {
  const name = member.names.xmlName ?? member.name
  if (protocol === "awsQuery") return name
  return member.names.ec2QueryName ?? `${name.charAt(0).toUpperCase()}${name.slice(1)}`
}

function flatListReader(element: Reader, protocol: QueryProtocol): Reader {
  return (node, path, context) => {
    if (node.value !== undefined) {
      if (node.value !== "" || node.children) refuse({ value: node.value }, path)
      // botocore sends "Name=" for an empty list of an awsQuery service; EC2 has no empty lists.
      return protocol === "awsQuery" ? [] : undefined
    }
    const values: unknown[] = []
    for (const [index, child] of indexed(node, path)) {
      const value = element(child, `${path}.${index}`, context)
      if (value !== undefined) values.push(value)
    }
    return values.length > 0 || protocol === "awsQuery" ? values : undefined
  }
}

/** The children of a list by rising index. Indexes need not be dense, so a huge one costs nothing. */
function indexed(node: FormNode, path: string): [number, FormNode][] {
  const entries: [number, FormNode][] = []
  for (const [name, child] of node.children ?? []) {
    if (/^[1-9]\d{0,8}$/.test(name)) entries.push([Number(name), child])
    else refuse(child, below(path, name))
  }
  return entries.toSorted(([a], [b]) => a - b)
}

function nestedListReader(element: Reader, tag: string, protocol: QueryProtocol): Reader {
  const flat = flatListReader(element, protocol)
  return (node, path, context) => {
    if (!node.children) return flat(node, path, context)
    return flat(onlyChild(node, path, tag), below(path, tag), context)
  }
}

function onlyChild(node: FormNode, path: string, tag: string): FormNode {
  if (node.value !== undefined) refuse({ value: node.value }, path)
  for (const [name, child] of node.children ?? []) if (name !== tag) refuse(child, below(path, name))
  return node.children?.get(tag) ?? {}
}

function mapReader(value: Reader, keyTag: string, valueTag: string, flat: boolean): Reader {
  return (node, path, context) => {
    const within = flat ? path : below(path, "entry")
    const entries: [string, unknown][] = []
    for (const [index, entry] of indexed(flat ? node : onlyChild(node, path, "entry"), within)) {
      const at = `${within}.${index}`
      if (entry.value !== undefined) refuse({ value: entry.value }, at)
      for (const [name, child] of entry.children ?? []) {
        if (name !== keyTag && name !== valueTag) refuse(child, below(at, name))
      }
      const key = entry.children?.get(keyTag)?.value
      const read = value(entry.children?.get(valueTag) ?? {}, below(at, valueTag), context)
      if (key === undefined) context.missing.push(below(at, keyTag))
      else if (read === undefined) context.missing.push(below(at, valueTag))
      else entries.push([key, read])
    }
    // fromEntries makes "__proto__" a key like any other.
    return Object.fromEntries(entries)
  }
}
