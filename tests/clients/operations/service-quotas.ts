import assert from "node:assert/strict"
import type { Check } from "./checks.ts"
import { type Done, type TestCloud, vcpuLimit } from "./cloud.ts"

const standard = { ServiceCode: "ec2", QuotaCode: "L-1216C47A" }
const highMemory = { ServiceCode: "ec2", QuotaCode: "L-43DA4232" }
type Operation = Done<"servicequotas">

const refused = ({ refusalOf }: TestCloud, operation: Operation, input: object) =>
  refusalOf("servicequotas", operation, input)

/** Both that give one quota are refused alike. */
async function refusesUnknown(cloud: TestCloud, operation: "GetServiceQuota" | "GetAWSDefaultServiceQuota") {
  assert.equal(await refused(cloud, operation, { ...standard, QuotaCode: "L-00000000" }), "400 NoSuchResourceException")
  assert.equal(await refused(cloud, operation, { ...standard, ServiceCode: "moon" }), "400 NoSuchResourceException")
  assert.equal(await refused(cloud, operation, { ServiceCode: "ec2" }), "400 IllegalArgumentException")
}

export const serviceQuotas = {
  async ListServices(cloud) {
    const { Services = [] } = await cloud.servicequotas("ListServices", {})
    assert.deepEqual(
      Services.map(({ ServiceCode }) => ServiceCode),
      ["ec2", "vpc"],
    )
    const first = await cloud.servicequotas("ListServices", { MaxResults: 1 })
    assert.equal(first.Services?.length, 1)
    const { NextToken = "" } = first
    const second = await cloud.servicequotas("ListServices", { MaxResults: 1, NextToken })
    assert.deepEqual([...(first.Services ?? []), ...(second.Services ?? [])], Services)
    assert.equal(await refused(cloud, "ListServices", { MaxResults: 101 }), "400 IllegalArgumentException")
    assert.equal(await refused(cloud, "ListServices", { NextToken: "no" }), "400 InvalidPaginationTokenException")
  },

  async ListServiceQuotas(cloud) {
    const { Quotas = [] } = await cloud.servicequotas("ListServiceQuotas", { ServiceCode: "vpc" })
    assert.deepEqual(
      Quotas.map(({ QuotaCode, Value, Adjustable }) => [QuotaCode, Value, Adjustable]),
      [
        ["L-0EA8095F", 60, false],
        ["L-DF5E4CA3", 4000, false],
        ["L-2AFB9258", 5, false],
        ["L-E79EC296", 2500, false],
      ],
    )
    const { Quotas: one = [] } = await cloud.servicequotas("ListServiceQuotas", standard)
    assert.equal(one.length, 1)
    assert.equal(await refused(cloud, "ListServiceQuotas", { ServiceCode: "moon" }), "400 NoSuchResourceException")
  },

  async ListAWSDefaultServiceQuotas(cloud) {
    const { Quotas = [] } = await cloud.servicequotas("ListAWSDefaultServiceQuotas", { ServiceCode: "ec2" })
    const running = Quotas.filter(({ QuotaName }) => QuotaName?.startsWith("Running"))
    assert.ok(running.length >= 10 && running.every(({ Value }) => Value === vcpuLimit))
    assert.equal(Quotas.find(({ QuotaCode }) => QuotaCode === "L-0263D0A3")?.Value, 5)
    const unknown = { ServiceCode: "moon" }
    assert.equal(await refused(cloud, "ListAWSDefaultServiceQuotas", unknown), "400 NoSuchResourceException")
  },

  async GetServiceQuota(cloud) {
    const { Quota } = await cloud.servicequotas("GetServiceQuota", standard)
    assert.equal(Quota?.Value, vcpuLimit)
    assert.equal(Quota?.QuotaName, "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances")
    const { account } = cloud.daemon.credentials
    assert.equal(Quota?.QuotaArn, `arn:aws:servicequotas:us-east-1:${account}:ec2/L-1216C47A`)
    await refusesUnknown(cloud, "GetServiceQuota")
  },

  async GetAWSDefaultServiceQuota(cloud) {
    const { Quota } = await cloud.servicequotas("GetAWSDefaultServiceQuota", standard)
    assert.equal(Quota?.Value, vcpuLimit)
    await refusesUnknown(cloud, "GetAWSDefaultServiceQuota")
  },

  async RequestServiceQuotaIncrease(cloud) {
    const { servicequotas } = cloud
    const operation = "RequestServiceQuotaIncrease"
    const wanted = { ...highMemory, DesiredValue: vcpuLimit + 1 }
    const { RequestedQuota } = await servicequotas(operation, wanted)
    assert.deepEqual([RequestedQuota?.Status, RequestedQuota?.DesiredValue], ["APPROVED", vcpuLimit + 1])
    assert.equal((await servicequotas("GetServiceQuota", highMemory)).Quota?.Value, vcpuLimit + 1)
    assert.equal((await servicequotas("GetAWSDefaultServiceQuota", highMemory)).Quota?.Value, vcpuLimit)
    assert.equal((await servicequotas("GetServiceQuota", standard)).Quota?.Value, vcpuLimit)
    assert.equal(await refused(cloud, operation, wanted), "400 IllegalArgumentException")
    assert.equal(await refused(cloud, operation, { ...wanted, DesiredValue: 1e9 }), "400 IllegalArgumentException")
    const fixed = { ServiceCode: "vpc", QuotaCode: "L-2AFB9258", DesiredValue: 10 }
    assert.equal(await refused(cloud, operation, fixed), "400 IllegalArgumentException")
    assert.equal(await refused(cloud, operation, { ...wanted, DesiredValue: "9" }), "400 SerializationException")
  },

  async GetRequestedServiceQuotaChange(cloud) {
    const wanted = { ServiceCode: "ec2", QuotaCode: "L-7295265B", DesiredValue: vcpuLimit + 5 }
    const { RequestedQuota } = await cloud.servicequotas("RequestServiceQuotaIncrease", wanted)
    const RequestId = RequestedQuota?.Id ?? ""
    const { RequestedQuota: again } = await cloud.servicequotas("GetRequestedServiceQuotaChange", { RequestId })
    assert.deepEqual(again, RequestedQuota)
    const unknown = { RequestId: "0".repeat(40) }
    assert.equal(await refused(cloud, "GetRequestedServiceQuotaChange", unknown), "400 NoSuchResourceException")
  },

  async ListRequestedServiceQuotaChangeHistory(cloud) {
    const operation = "ListRequestedServiceQuotaChangeHistory"
    const wanted = { ServiceCode: "ec2", QuotaCode: "L-74FC7D96", DesiredValue: vcpuLimit + 7 }
    const { RequestedQuota } = await cloud.servicequotas("RequestServiceQuotaIncrease", wanted)
    const { RequestedQuotas = [] } = await cloud.servicequotas(operation, { Status: "APPROVED" })
    assert.ok(RequestedQuotas.some(({ Id }) => Id === RequestedQuota?.Id))
    assert.deepEqual((await cloud.servicequotas(operation, { ServiceCode: "vpc" })).RequestedQuotas, [])
    assert.equal(await refused(cloud, operation, { ServiceCode: "moon" }), "400 NoSuchResourceException")
  },
} satisfies Readonly<Record<Operation, Check>>
