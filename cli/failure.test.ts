import assert from "node:assert/strict"
import { test } from "node:test"
import { Failure, forThisUser } from "./failure.ts"

test("a root who did not come by sudo is told the command without it", () => {
  const command = "sudo apt-get update && sudo apt-get install -y sudo"
  assert.equal(forThisUser(command, true), "apt-get update && apt-get install -y sudo")
  assert.equal(
    forThisUser("sudo modprobe kvm_intel || sudo modprobe kvm_amd", true),
    "modprobe kvm_intel || modprobe kvm_amd",
  )
  assert.equal(forThisUser("./fractus up", true), "./fractus up")
  assert.equal(forThisUser(command, false), command)
  assert.deepEqual(new Failure(3, "message", command).mend, [forThisUser(command)])
})
