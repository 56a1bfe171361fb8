/** `aws s3` of every AWS CLI of this machine goes through the scenario of S3. */
import { commandLines } from "./scenario/installed.ts"
import { awsS3 } from "./storage/cli.ts"
import { testStorage } from "./storage/scenario.ts"

testStorage(
  commandLines().map(({ program, version }) => ({
    name: `AWS CLI ${version} (${program})`,
    isThere: true,
    open: (place) => awsS3(place, program, version),
  })),
)
