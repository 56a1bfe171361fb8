import { clientSchemas } from "#wire/schema/load.ts"
import type { Speaker } from "./speakers.ts"

/** Services of AWS for the wire alone: all operations of clients that are installed for tests. */
export async function wireSpeakers(): Promise<readonly Speaker[]> {
  const [monitoring, ebs] = await Promise.all([clientSchemas("cloudwatch"), clientSchemas("ebs")])
  const facts = {
    version: "2010-08-01",
    xmlNamespace: "http://monitoring.amazonaws.com/doc/2010-08-01/",
    target: "GraniteServiceVersion20100801",
  }
  return [
    {
      binding: { name: "monitoring", protocol: "awsJson1_0", also: ["rpcv2Cbor", "awsQuery"], ...facts },
      operations: Object.entries(monitoring),
    },
    { binding: { name: "ebs", protocol: "restJson1", version: "2019-11-02" }, operations: Object.entries(ebs) },
  ]
}
