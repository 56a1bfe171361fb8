/** Answers that are given again must never be told from fresh ones: what one call changes, the next one shows. */
import assert from "node:assert/strict"
import { test } from "node:test"
import { startSimDaemon } from "#tests/rig/daemon.ts"

const claim = (region: string): Record<string, string> => ({
  "content-type": "application/x-www-form-urlencoded",
  authorization: `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/${region}/ec2/aws4_request, SignedHeaders=host, Signature=${"a".repeat(64)}`,
  "x-amz-date": "20260102T030405Z",
})

test("every change is in the very next answer, and a reset empties it", async () => {
  const daemon = await startSimDaemon({ auth: "off" })
  try {
    const ask = async (form: string, region = "us-east-1"): Promise<string> => {
      const body = `${form}&Version=2016-11-15`
      const answer = await fetch(daemon.endpoint, { method: "POST", headers: claim(region), body })
      const text = await answer.text()
      assert.equal(answer.status, 200, text)
      return text
    }
    const names = async (): Promise<readonly string[]> =>
      [...(await ask("Action=DescribeKeyPairs")).matchAll(/<keyName>(.*?)<\/keyName>/g)].map(([, name]) => name ?? "")
    const state = async (): Promise<string | undefined> =>
      /<instanceState><code>\d+<\/code><name>(.*?)<\/name>/.exec(await ask("Action=DescribeInstances"))?.[1]

    const made: string[] = []
    for (let at = 0; at < 20; at++) {
      assert.deepEqual(await names(), made)
      assert.deepEqual(await names(), made)
      await ask(`Action=CreateKeyPair&KeyName=key-${at}&KeyType=ed25519`)
      made.push(`key-${at}`)
    }
    assert.deepEqual(await names(), made)

    const image = /<imageId>(.*?)<\/imageId>/.exec(await ask("Action=DescribeImages"))?.[1]
    assert.equal(await state(), undefined)
    const launched = await ask(`Action=RunInstances&ImageId=${image}&InstanceType=t3.micro&MinCount=1&MaxCount=1`)
    assert.ok(await state())
    await daemon.settled()
    assert.equal(await state(), "running")
    const id = /<instanceId>(.*?)<\/instanceId>/.exec(launched)?.[1]
    await ask(`Action=StopInstances&InstanceId.1=${id}`)
    assert.notEqual(await state(), "running")
    await daemon.settled()
    assert.equal(await state(), "stopped")
    assert.doesNotMatch(await ask("Action=DescribeInstances", "eu-west-1"), /<instanceId>/)

    await fetch(`${daemon.endpoint}/_fractus/reset`, { method: "POST" })
    assert.deepEqual(await names(), [])
    assert.equal(await state(), undefined)
  } finally {
    await daemon.stop()
  }
})
