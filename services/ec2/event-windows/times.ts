/**
 * When an event window is open, in UTC, again each week: time ranges or a cron expression. The rules are those of
 * CreateInstanceEventWindow: each range at least 2 hours, all together at least 4.
 */
import type { InstanceEventWindowTimeRangeRequest } from "@aws-sdk/client-ec2"
import { raise } from "../errors.ts"

const weekDays = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"] as const
type WeekDay = (typeof weekDays)[number]

/** From an hour of a day up to an hour of a day, that hour not included. */
export interface TimeRange {
  readonly startWeekDay: WeekDay
  readonly startHour: number
  readonly endWeekDay: WeekDay
  readonly endHour: number
}

/** Hours. */
const least = { range: 2, all: 4 }
const weekHours = 168
const maxRanges = 100

type Given = Readonly<InstanceEventWindowTimeRangeRequest>

export function readTimeRanges(given: readonly Given[]): readonly TimeRange[] {
  if (given.length > maxRanges) throw invalid(`An event window has at most ${maxRanges} time ranges.`)
  const ranges = given.map(readTimeRange)
  // Where ranges overlap, an hour counts once.
  const hours = new Set(ranges.flatMap(hoursOf))
  if (hours.size < least.all) throw tooShort()
  return ranges
}

function readTimeRange({ StartWeekDay, StartHour, EndWeekDay, EndHour }: Given): TimeRange {
  const range = {
    startWeekDay: readDay("StartWeekDay", StartWeekDay),
    startHour: readHour("StartHour", StartHour),
    endWeekDay: readDay("EndWeekDay", EndWeekDay),
    endHour: readHour("EndHour", EndHour),
  }
  if (hoursOf(range).length < least.range)
    throw invalid(
      `The time range from ${range.startWeekDay} ${range.startHour} to ${range.endWeekDay} ${range.endHour} is shorter than ${least.range} hours.`,
    )
  return range
}

/** Hours of the week, counted from Sunday midnight; a range may go over the week's end. */
function hoursOf({ startWeekDay, startHour, endWeekDay, endHour }: TimeRange): readonly number[] {
  const start = weekDays.indexOf(startWeekDay) * 24 + startHour
  const end = weekDays.indexOf(endWeekDay) * 24 + endHour
  const length = (end - start + weekHours) % weekHours
  return Array.from({ length }, (_, hour) => (start + hour) % weekHours)
}

function readDay(parameter: string, value: string | undefined): WeekDay {
  if (value === undefined) throw raise("MissingParameter", { name: `TimeRange.${parameter}` })
  const found = weekDays.find((day) => day === value)
  if (found !== undefined) return found
  throw invalid(`Value (${value}) for parameter ${parameter} is invalid. Expected: ${weekDays.join(", ")}.`)
}

function readHour(parameter: string, value: number | undefined): number {
  if (value === undefined) throw raise("MissingParameter", { name: `TimeRange.${parameter}` })
  if (Number.isInteger(value) && value >= 0 && value <= 23) return value
  throw invalid(`Value (${value}) for parameter ${parameter} is invalid. Expecting an integer between 0 and 23.`)
}

const dayNames = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
const maxCronLength = 200

/** `* 0-4,20-23 * * 1,5`: hours as ranges, days of the week as numbers or names; the rest is `*`. Gives it back. */
export function readCron(expression: string): string {
  const wrong = (why: string) =>
    invalid(`The cron expression '${expression.slice(0, maxCronLength)}' is invalid: ${why}`)
  const [minute, hour = "", dayOfMonth, month, dayOfWeek = "", ...more] = expression.trim().split(/ +/)
  if (expression.length > maxCronLength || dayOfWeek === "" || more.length > 0) throw wrong("it has five fields.")
  if (minute !== "*" || dayOfMonth !== "*" || month !== "*")
    throw wrong("the minute, the day of the month and the month must be *.")
  const hours = new Set<number>()
  for (const range of hour.split(",")) {
    const [, from = "", to = ""] = /^(\d{1,2})-(\d{1,2})$/.exec(range) ?? []
    if (from === "" || Number(to) > 23) throw wrong("hours are ranges such as 0-4 or 0-4,20-23.")
    if (Number(to) - Number(from) < least.range) throw wrong(`each range has at least ${least.range} hours.`)
    for (let each = Number(from); each < Number(to); each++) hours.add(each)
  }
  const days = new Set(
    dayOfWeek.split(",").map((day) => {
      if (/^[0-6]$/.test(day)) return Number(day)
      const named = dayNames.indexOf(day.toUpperCase())
      if (named < 0) throw wrong("days of the week are 0 to 6 or SUN to SAT.")
      return named
    }),
  )
  if (hours.size * days.size < least.all) throw tooShort()
  return expression
}

const tooShort = () => invalid(`The time ranges of an event window must be at least ${least.all} hours together.`)
const invalid = (detail: string) => raise("InvalidParameterValue", { detail })
