/** Who answers ARP, guests played by namespaces: nothing of the asking is left, and traffic goes on while it lasts. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { everything, group, network, openLab, port } from "./lab.ts"
import { ip } from "./namespaces.ts"

test("guests that answer ARP are told from those that do not, whatever their groups say", async () => {
  const lab = await openLab()
  try {
    await lab.engine.up()
    // No rule lets anything in.
    const ports = [1, 2, 3].map((number) => port(number, ["sg-a"]))
    await lab.bring(network(1, [group("sg-a", [], [])], ports))
    const ids = ports.map(({ id }) => id)
    const neighbours = async () => (await ip(`${lab.prefix}-n1`, "-4", "neigh", "show")).split("\n").toSorted()
    const before = await neighbours()
    assert.equal(before.filter((line) => line.includes(`dev ${lab.prefix}t`) && line.includes("PERMANENT")).length, 3)
    const answering = async () => [...(await lab.engine.answering("vpc-1", ids))].toSorted()
    assert.deepEqual(await answering(), ids)
    await ip(lab.guest(2), "link", "set", "eth0", "down")
    await ip(lab.guest(3), "addr", "flush", "dev", "eth0")
    assert.deepEqual(await answering(), ["eni-1"])
    assert.deepEqual(await neighbours(), before, "the table is as it was")
    await ip(lab.guest(2), "link", "set", "eth0", "up")
    assert.deepEqual(await answering(), ["eni-1", "eni-2"])
    await lab.engine.removePort("vpc-1", "eni-1")
    assert.deepEqual(await answering(), ["eni-2"])
    assert.deepEqual([...(await lab.engine.answering("vpc-9", ids))], [])
  } finally {
    await lab.close()
  }
})

test("a connection goes on while its guest is asked", async () => {
  const lab = await openLab()
  try {
    await lab.engine.up()
    const open = group("sg-a", [everything])
    const spec = network(1, [open], [port(1, ["sg-a"]), port(2, ["sg-a"]), port(3, ["sg-a"])])
    await lab.bring(spec)
    await ip(lab.guest(3), "link", "set", "eth0", "down")
    await lab.serve(lab.guest(2), 80)
    const asking = lab.engine.answering("vpc-1", ["eni-1", "eni-2", "eni-3"])
    const state = { asking: true }
    void asking.finally(() => (state.asking = false))
    for (let round = 0; state.asking; round++)
      assert.ok(await lab.greeting(lab.guest(1), spec.ports[1]?.address ?? "", 80), `connection ${round}`)
    assert.deepEqual([...(await asking)].toSorted(), ["eni-1", "eni-2"])
  } finally {
    await lab.close()
  }
})
