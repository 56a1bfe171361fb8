import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer } from "node:net"
import { test } from "node:test"
import { cannotListen, describeHolder, freePort, homeOfCommand, listeners, portHolder } from "./ports.ts"

test("the holder of a taken port is named by pid and command", async (context) => {
  const server = createServer().listen(0, "127.0.0.1")
  context.after(() => server.close())
  await once(server, "listening")
  const address = server.address()
  assert.ok(address !== null && typeof address === "object")
  assert.equal(await cannotListen(address.port, "127.0.0.1"), "EADDRINUSE")
  const holder = portHolder(address.port)
  assert.equal(holder?.pid, process.pid)
  assert.match(describeHolder(holder), new RegExp(`^pid ${process.pid} \\(.*node`))
  await new Promise((resolve) => server.close(resolve))
  assert.equal(portHolder(address.port), undefined)
  assert.equal(await cannotListen(address.port, "127.0.0.1"), undefined)
})

test("only listening sockets of that very port count", () => {
  const rows = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    "   0: 0100007F:11D6 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 100 0 0 10 0",
    "   1: 0100007F:11D6 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 77 1 0 100 0 0 10 0",
    "   2: 0100007F:11D7 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 78 1 0 100 0 0 10 0",
  ].join("\n")
  assert.deepEqual(listeners(rows, 4566), [{ inode: 4242, uid: 1000 }])
  assert.deepEqual(listeners(rows, 4568), [])
})

test("a Fractus daemon is told by its home", () => {
  assert.equal(homeOfCommand(["/x/node", "/x/daemon/main.ts", "/var/lib/fractus/config.json"]), "/var/lib/fractus")
  assert.equal(homeOfCommand(["nginx: master"]), undefined)
  assert.match(describeHolder({ inode: 1, uid: 5 }), /uid 5/)
})

test("a free port can be listened on, and is none that connections are given", async () => {
  const port = await freePort()
  assert.equal(await cannotListen(port, "127.0.0.1"), undefined)
  assert.ok(port < 32_768, String(port))
})
