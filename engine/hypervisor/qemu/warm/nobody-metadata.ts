/**
 * A metadata service that knows nothing, for a clone that rehearses a login (rehearsal.ts): its ssh server asks for temporary keys at each
 * connection, and what that runs is to be translated as well. No token is given, lest the clone keeps one. Run in the network namespace where
 * the clone's tap stands; says "ready", and is ended by whoever started it. Argument: the address.
 */
import { createServer } from "node:http"

const [address = ""] = process.argv.slice(2)
createServer((_request, response) => response.writeHead(404, { Connection: "close" }).end()).listen(80, address, () =>
  process.stdout.write("ready\n"),
)
// It ends with whoever started it, however that ends.
process.stdin
  .resume()
  .once("end", () => process.exit())
  .once("error", () => process.exit())
