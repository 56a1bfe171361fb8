/** The background's own process: `node cli/images/main.ts HOME`. What it says goes to the home's image-build.log. */
import { runningDaemon } from "../daemon/process.ts"
import { buildWhatLacks } from "./worker.ts"

const [home = ""] = process.argv.slice(2)
const say = (text: string): void => console.error(`${new Date().toISOString()} ${text}`)
await buildWhatLacks({ home }, () => runningDaemon(home) !== undefined, say)
