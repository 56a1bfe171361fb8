/**
 * What is compared with: a bare node:http server that reads the request and answers with bytes it was given, and with the
 * same headers. Started as `node bench/api/bare.ts HEAD-FILE BODY-FILE`; tells its port on stdout and ends with its stdin.
 */
import { readFileSync } from "node:fs"
import { createServer } from "node:http"

const [, , headFile = "", bodyFile = ""] = process.argv
const body = readFileSync(bodyFile)
// Node writes these by itself.
const own = new Set(["date", "connection", "keep-alive"])
const headers = Object.fromEntries(
  readFileSync(headFile, "latin1")
    .split("\r\n")
    .slice(1)
    .map((line): [string, string] => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()])
    .filter(([name]) => !own.has(name.toLowerCase())),
)

const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
  request.on("data", () => undefined)
  request.on("end", () => {
    response.writeHead(200, headers)
    response.end(body)
  })
})
server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  console.log(typeof address === "object" ? address?.port : address)
})
process.stdin.resume().on("end", () => process.exit(0))
