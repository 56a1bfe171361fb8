/** The two query protocols: a form in, XML out. One compiled operation holds both directions. */
import type { Fault } from "#lib/fault.ts"
import { inputReader } from "../schema/reader.ts"
import { operationShapes } from "../schema/shape.ts"
import { outputWriter, type Sink } from "../schema/writer.ts"
import type { QueryProtocol } from "../types.ts"
import type { Holding } from "./document.ts"
import type { FormNode } from "./form.ts"
import { escapeXml } from "./xml.ts"

export interface Operation {
  /** Typed input. Throws Fault: UnknownParameter, MissingParameter or ValidationError, InvalidParameterValue. */
  read(form: FormNode): object
  /** The answer's XML in pieces of about 64 KiB. Throws TypeError or RangeError for values that are not of the schema. */
  write(output: object, requestId: string): Generator<string, void, void>
}

/** What both protocols need to know of a service. */
export interface Dialect {
  readonly protocol: QueryProtocol
  /** A URI without characters that XML would escape. */
  readonly xmlNamespace: string
}

const prolog = `<?xml version="1.0" encoding="UTF-8"?>\n`

/** Compiles one operation's schema tuple of the SDK. */
export function compileOperation(
  name: string,
  schema: unknown,
  dialect: Dialect,
  { holdsRules = true }: Holding = {},
): Operation {
  const { input, output } = operationShapes(schema)
  const members = outputWriter(output)
  const frame = answerFrame(name, dialect, output.kind === "unit")
  return {
    read: inputReader(input, dialect.protocol, holdsRules),
    *write(value, requestId) {
      const sink: Sink = { text: frame.before(requestId) }
      for (const _ of members(value, sink)) {
        yield sink.text
        sink.text = ""
      }
      yield sink.text + frame.after(requestId)
    },
  }
}

interface Frame {
  before(requestId: string): string
  after(requestId: string): string
}

function answerFrame(name: string, { protocol, xmlNamespace }: Dialect, isUnit: boolean): Frame {
  const open = `${prolog}<${name}Response xmlns="${xmlNamespace}">`
  if (protocol === "ec2Query") {
    return {
      before: (requestId) => `${open}<requestId>${requestId}</requestId>`,
      // Where the model has no output, EC2 answers whether it worked.
      after: () => (isUnit ? `<return>true</return></${name}Response>` : `</${name}Response>`),
    }
  }
  const result = isUnit ? ["", ""] : [`<${name}Result>`, `</${name}Result>`]
  return {
    before: () => open + result[0],
    after: (requestId) =>
      `${result[1]}<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></${name}Response>`,
  }
}

/** The XML of an error answer. */
export function errorBody(fault: Fault, { protocol, xmlNamespace }: Dialect, requestId: string): string {
  const what = `<Code>${escapeXml(fault.code)}</Code><Message>${escapeXml(fault.message)}</Message>`
  if (protocol === "ec2Query") {
    return `${prolog}<Response><Errors><Error>${what}</Error></Errors><RequestID>${requestId}</RequestID></Response>`
  }
  const type = fault.status >= 500 ? "Receiver" : "Sender"
  return (
    `${prolog}<ErrorResponse xmlns="${xmlNamespace}"><Error><Type>${type}</Type>${what}</Error>` +
    `<RequestId>${requestId}</RequestId></ErrorResponse>`
  )
}
