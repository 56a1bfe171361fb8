/** EnableSerialConsoleAccess, DisableSerialConsoleAccess, GetSerialConsoleAccessStatus: of an account in a region; off until it is enabled. */
import type { Call } from "#cloud/call.ts"
import { pure } from "#cloud/service.ts"
import type { Handler, Handlers } from "../handler.ts"
import { changeSettings, readSettings } from "./settings.ts"

async function set(call: Call, wanted: boolean) {
  call.authorize(`ec2:${wanted ? "Enable" : "Disable"}SerialConsoleAccess`)
  await changeSettings(call, (settings) => ({ ...settings, serialConsole: wanted }))
  await call.commit()
  return { SerialConsoleAccessEnabled: wanted }
}

const getSerialConsoleAccessStatus: Handler<"GetSerialConsoleAccessStatus"> = async (_, call) => ({
  SerialConsoleAccessEnabled: (await readSettings(call)).serialConsole === true,
})

export const serialConsole = {
  DisableSerialConsoleAccess: (_, call) => set(call, false),
  EnableSerialConsoleAccess: (_, call) => set(call, true),
  GetSerialConsoleAccessStatus: pure(getSerialConsoleAccessStatus),
} satisfies Handlers
