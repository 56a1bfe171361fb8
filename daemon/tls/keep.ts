/** Certificates while a daemon runs: made and renewed by who owns the home, shown by who serves. */
import type { Server } from "node:http"
import { serveTls } from "#wire/http/tls.ts"
import { StartError } from "../home-records.ts"
import { ensureCertificates, type Owner, readCertificate } from "./certificates.ts"

const lookEveryMs = 3_600_000

/** Makes what is missing now, and looks each hour whether a new one is due. Throws StartError with openssl's words. */
export function keepCertificates(home: string, log: (message: string, fields?: object) => void, owner?: Owner): void {
  try {
    ensureCertificates(home, Date.now(), owner)
  } catch (error) {
    throw new StartError(
      "internal",
      `the certificates of --tls could not be made: ${String(error)}`,
      "./fractus up --no-tls",
    )
  }
  setInterval(() => {
    try {
      if (ensureCertificates(home, Date.now(), owner)) log("the certificate was renewed")
    } catch (error) {
      log("the certificate could not be renewed", { error: String(error) })
    }
  }, lookEveryMs).unref()
}

/** Has the server speak TLS too, with the newest certificate there is. Throws StartError when there is none. */
export function showCertificate(server: Server, home: string): void {
  let shown = readCertificate(home)
  if (shown === undefined)
    throw new StartError("internal", "there is no certificate to serve TLS with", "./fractus up --tls")
  const side = serveTls(server, shown)
  setInterval(() => {
    const newest = readCertificate(home)
    if (newest === undefined || newest.cert === shown?.cert) return
    side.renew(newest)
    shown = newest
  }, lookEveryMs).unref()
}
