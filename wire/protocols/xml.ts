/** Text and times as they stand in an XML answer. */

// oxlint-disable-next-line no-control-regex
const special = /[&<>\r\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]/
// With the flag u, the range of surrogates matches only lone ones.
// oxlint-disable-next-line no-control-regex
const specialOrIllegal = /[&<>\r\0-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]/gu
const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  // A parser turns a bare carriage return into a line feed (XML 1.0, section 2.11).
  "\r": "&#xD;",
}

/** Text between tags (not for attributes): escapes markup; drops what XML 1.0 cannot say. */
export function escapeXml(text: string): string {
  return special.test(text) ? text.replace(specialOrIllegal, (found) => entities[found] ?? "") : text
}

// Instances that were launched together share their times; making the text costs more than finding it.
const dateTimes = new Map<number, string>()
const dateTimesKept = 4096

/** "2026-01-02T03:04:05.678Z", always with milliseconds, as EC2 writes times. Throws RangeError for an invalid date. */
export function dateTime(date: Date): string {
  const at = date.getTime()
  const known = dateTimes.get(at)
  if (known !== undefined) return known
  const text = date.toISOString()
  if (dateTimes.size >= dateTimesKept) dateTimes.clear()
  dateTimes.set(at, text)
  return text
}
