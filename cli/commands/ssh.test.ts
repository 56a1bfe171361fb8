import assert from "node:assert/strict"
import { test } from "node:test"
import { debianImage } from "#images/catalog.ts"
import { awsEnvironment } from "./aws.ts"
import { findInstance, sshArguments } from "./ssh.ts"

const web = {
  id: "i-1",
  name: "web",
  state: "running",
  type: "t3.micro",
  image: "ami-1",
  boots: "ami-1",
  publicAddress: "198.18.0.4",
  privateAddress: "172.31.0.4",
  keyName: null,
}

test("an instance is found by id and by name, and doubt is refused", () => {
  const old = { ...web, id: "i-0", state: "terminated" }
  const stopped = { ...web, id: "i-2", name: "db", state: "stopped" }
  assert.equal(findInstance([old, web, stopped], "i-1", "/h").id, "i-1")
  assert.equal(findInstance([old, web, stopped], "web", "/h").id, "i-1")
  assert.throws(() => findInstance([web], "i-9", "/h"), /no instance i-9/)
  assert.throws(() => findInstance([stopped], "db", "/h"), /is stopped/)
  assert.throws(() => findInstance([web, { ...web, id: "i-3" }], "web", "/h"), /2 instances/)
  assert.throws(() => findInstance([{ ...web, publicAddress: null }], "web", "/h"), /no public address/)
})

test("ssh goes to the image's user, remembers host keys by instance, and passes the rest on in order", () => {
  const argv = sshArguments(web, "/h/known_hosts", "k.pem", ["-v", "uname", "-a"])
  assert.ok(argv.includes("StrictHostKeyChecking=accept-new"))
  assert.ok(argv.includes("HostKeyAlias=i-1"))
  assert.deepEqual(argv.slice(-6), ["-i", "k.pem", "ec2-user@198.18.0.4", "-v", "uname", "-a"])
  const debian = { ...web, boots: debianImage.id }
  assert.equal(sshArguments(debian, "/h/known_hosts", undefined, []).at(-1), "admin@198.18.0.4")
})

test("the AWS CLI gets our keys and none of the caller's profile or session", () => {
  const access = { endpoint: "http://127.0.0.1:1", region: "us-east-1", accessKeyId: "A", secretAccessKey: "B" }
  const env = awsEnvironment(access, {
    PATH: "/bin",
    AWS_PROFILE: "p",
    AWS_DEFAULT_PROFILE: "p",
    AWS_SESSION_TOKEN: "t",
    AWS_REGION: "x",
  })
  assert.equal(env.PATH, "/bin")
  assert.deepEqual([env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY, env.AWS_REGION], ["A", "B", "us-east-1"])
  for (const name of ["AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"]) assert.equal(name in env, false)
})
