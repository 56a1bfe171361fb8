import assert from "node:assert/strict"
import { test } from "node:test"
import { changedEnvironment, tryEnvironment } from "./environment.ts"

const access = { endpoint: "http://127.0.0.1:1", region: "us-east-1", accessKeyId: "AKIA", secretAccessKey: "s" }

test("nothing of the caller's accounts gets through to the command, and what is only taste does", () => {
  const base = {
    PATH: "/bin",
    AWS_PROFILE: "production",
    AWS_SESSION_TOKEN: "token",
    AWS_ENDPOINT_URL_EC2: "https://elsewhere",
    AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "true",
    AWS_CONFIG_FILE: "/root/.aws/config",
    AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://169.254.170.2/",
    AWS_PAGER: "",
    AWS_DEFAULT_OUTPUT: "table",
    BOTO_CONFIG: "/etc/boto.cfg",
    FRACTUS_HOME: "/var/lib/fractus",
    HTTPS_PROXY: "http://proxy:3128",
    NO_PROXY: "example.com",
  }
  assert.deepEqual(changedEnvironment(tryEnvironment(access, "/tmp/h", base), base), {
    PATH: "/bin",
    AWS_PAGER: "",
    AWS_DEFAULT_OUTPUT: "table",
    HTTPS_PROXY: "http://proxy:3128",
    AWS_ENDPOINT_URL: "http://127.0.0.1:1",
    AWS_ACCESS_KEY_ID: "AKIA",
    AWS_SECRET_ACCESS_KEY: "s",
    AWS_DEFAULT_REGION: "us-east-1",
    AWS_REGION: "us-east-1",
    AWS_CONFIG_FILE: "/tmp/h/aws-config",
    AWS_SHARED_CREDENTIALS_FILE: "/tmp/h/aws-credentials",
    AWS_EC2_METADATA_DISABLED: "true",
    FRACTUS_HOME: "/tmp/h",
    NO_PROXY: "example.com,127.0.0.1",
    no_proxy: "127.0.0.1",
  })
})
