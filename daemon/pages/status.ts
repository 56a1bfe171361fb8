/** GET /_fractus/status: what runs here, for the CLI. Holds no secret. */
import { fromStored } from "#cloud/resources/kind.ts"
import { everyRegion, type ImageRecord, imageKind } from "#services/ec2/images/record.ts"
import { instanceKind, type InstanceRecord } from "#services/ec2/instances/record.ts"
import type { PagesOptions } from "./pages.ts"

const rows = 1000

export async function readStatus(options: PagesOptions) {
  const { cloud, config, connection, facts } = options
  const { store } = cloud
  const images = await store.query({ kind: imageKind.name, accounts: [], regions: [everyRegion], limit: rows })
  const instances = await store.query({
    kind: instanceKind.name,
    accounts: [],
    regions: [],
    facets: [{ name: "instance-state-name", values: ["pending", "running", "stopping", "stopped", "shutting-down"] }],
    limit: rows,
  })
  const memory = (await connection.memory?.().catch(() => undefined)) ?? null
  const taken = new Map(memory?.guests.map(({ guest, ...bytes }) => [guest, bytes]))
  const sum = (of: "pssBytes" | "rssBytes") => [...taken.values()].reduce((total, each) => total + each[of], 0)
  return {
    daemon: { pid: options.daemonPid },
    endpoint: options.endpoint(),
    engine: config.engine,
    accelerator: facts.accelerator === "none" ? null : facts.accelerator,
    images: images.items.map((stored) => {
      const { id, record } = fromStored<ImageRecord>(stored)
      return { id, name: record.name, state: record.state }
    }),
    instances: instances.items.map((stored) => {
      const { id, region, record } = fromStored<InstanceRecord>(stored)
      return {
        id,
        name: record.tags.find((tag) => tag.key === "Name")?.value ?? null,
        region,
        state: record.state,
        type: record.type,
        image: record.image,
        publicAddress: record.publicAddress ?? null,
        privateAddress: record.address || null,
        keyName: record.keyName ?? null,
        memory: taken.get(id) ?? null,
      }
    }),
    processes: await connection.processes(),
    serialConsole: (await connection.serialEndpoint?.().catch(() => null)) ?? null,
    memory: memory && {
      guests: taken.size,
      pssBytes: sum("pssBytes"),
      rssBytes: sum("rssBytes"),
      templatesBytes: memory.templatesBytes,
      pool: memory.pool ?? null,
    },
  }
}
