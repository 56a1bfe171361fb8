/**
 * A process for fuzz.test.ts: the wire alone, before services that speak what no service of Fractus speaks yet (JSON 1.0, RPC CBOR, REST
 * JSON, query beside them). Each operation answers with some value of its output. Says its port, and ends with its standard input.
 */
import { operationShapes } from "#wire/schema/shape.ts"
import { seeded, structure } from "#tests/wire/values.ts"
import { startServer } from "#wire/http/fixture.ts"
import { wireSpeakers } from "./wire-speakers.ts"

const speakers = await wireSpeakers()
const server = await startServer(
  {},
  {
    services: speakers.map(({ binding, operations }) => ({
      ...binding,
      async load() {
        const schemas = Object.fromEntries(operations)
        return {
          schemas,
          async dispatch(operation: string) {
            const { output } = operationShapes(schemas[operation])
            return output.kind === "struct" ? structure(output, seeded(1)) : {}
          },
        }
      },
    })),
    log: (message, error) => console.error(message, error),
  },
)
process.stdout.write(`${server.port}\n`)
process.stdin.resume().once("end", () => process.exit())
