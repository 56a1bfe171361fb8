import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { setInSection, valueInSection } from "./section.ts"

const place = { endpoint_url: "http://127.0.0.1:4566", region: "us-east-1" }
const set = (text: string): string => setInSection(text, "profile fractus", place)
const ours = "[profile fractus]\nendpoint_url = http://127.0.0.1:4566\nregion = us-east-1\n"

test("an empty file gets the section and nothing else", () => {
  assert.equal(set(""), ours)
})

test("the section is appended after a blank line, the rest stays byte for byte", () => {
  const before = "# mine\n[default]\nregion=eu-west-1   \n\ts3 =\n    max_concurrent_requests = 20\n"
  assert.equal(set(before), `${before}\n${ours}`)
})

test("a last line without an end of line gets one", () => {
  assert.equal(set("[default]\nregion = x"), `[default]\nregion = x\n\n${ours}`)
})

test("doing it twice changes nothing", () => {
  for (const before of ["", "[default]\n", "[a]\r\nx = 1\r\n", "[profile fractus]\nregion = q\n[b]\ny = 1"]) {
    assert.equal(set(set(before)), set(before))
  }
})

test("in a section that is there only our own keys change, in place", () => {
  const before =
    "[profile fractus]\n; note\noutput = json\nREGION: eu-west-1\n# end\n\n[profile other]\nregion = eu-west-2\n"
  const after =
    "[profile fractus]\n; note\noutput = json\nregion = us-east-1\n# end\nendpoint_url = http://127.0.0.1:4566\n\n[profile other]\nregion = eu-west-2\n"
  assert.equal(set(before), after)
})

test("nested values of the same name are not ours", () => {
  const before = "[profile fractus]\ns3 =\n  region = keep\n  endpoint_url = keep\n"
  const after = set(before)
  assert.ok(after.startsWith(before))
  assert.equal(valueInSection(after, "profile fractus", "region"), "us-east-1")
})

test("an old value over several lines goes whole", () => {
  assert.equal(
    setInSection("[fractus]\nregion =\n  a\n  b\nout = 1\n", "fractus", { region: "x" }),
    "[fractus]\nregion = x\nout = 1\n",
  )
})

test("a doubled key becomes one", () => {
  assert.equal(setInSection("[f]\na = 1\nb = 2\na = 3\n", "f", { a: "9" }), "[f]\na = 9\nb = 2\n")
})

test("a value of undefined takes the key out, and only in that section", () => {
  const before = "[f]\naws_session_token = t\nk = 1\n[g]\naws_session_token = u\n"
  assert.equal(setInSection(before, "f", { aws_session_token: undefined }), "[f]\nk = 1\n[g]\naws_session_token = u\n")
})

test("Windows line ends are kept and used", () => {
  assert.equal(setInSection("[a]\r\nx = 1\r\n", "f", { k: "v" }), "[a]\r\nx = 1\r\n\r\n[f]\r\nk = v\r\n")
})

test("quoted and padded names are the same section; longer names are not", () => {
  assert.equal(
    setInSection('[ profile "fractus" ]\nregion = q\n', "profile fractus", { region: "x" }),
    '[ profile "fractus" ]\nregion = x\n',
  )
  assert.match(
    setInSection("[profile fractus2]\nregion = q\n", "profile fractus", { region: "x" }),
    /^\[profile fractus2\]\nregion = q\n\n\[profile fractus\]/,
  )
})

test("a commented-out section or key is a comment", () => {
  const before = "#[f]\n[f]\n#a = 1\n"
  assert.equal(setInSection(before, "f", { a: "2" }), "#[f]\n[f]\n#a = 1\na = 2\n")
})

test("a value with a line break is refused", () => {
  assert.throws(() => setInSection("", "f", { a: "x\n[default]" }))
})

test("whatever the file holds, other sections keep their lines and ours is read back", () => {
  const line = fc.constantFrom(
    "",
    "# c",
    "[default]",
    "[profile a]",
    "[profile fractus]",
    "region = q",
    "  nested = 1",
    "odd",
    "endpoint_url: z",
    "=",
    "[broken",
  )
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 12 }),
      fc.constantFrom("\n", "\r\n"),
      fc.boolean(),
      (lines, ending, ended) => {
        const before = lines.join(ending) + (ended ? ending : "")
        const after = set(before)
        assert.equal(valueInSection(after, "profile fractus", "region"), "us-east-1")
        assert.equal(valueInSection(after, "profile fractus", "endpoint_url"), "http://127.0.0.1:4566")
        assert.equal(set(after), after)
        const own = new Set([
          "region = q",
          "endpoint_url: z",
          "region = us-east-1",
          "endpoint_url = http://127.0.0.1:4566",
        ])
        const others = (text: string): string[] =>
          text
            .split(/\r?\n/)
            .filter(
              (each) => !own.has(each) && each.trim() !== "" && each !== "[profile fractus]" && !each.startsWith("  "),
            )
        assert.deepEqual(others(after), others(before))
        for (const name of ["default", "profile a"]) {
          assert.equal(valueInSection(after, name, "region"), valueInSection(before, name, "region"))
        }
      },
    ),
    { numRuns: 300 },
  )
})
