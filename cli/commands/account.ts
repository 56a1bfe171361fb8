import { type Account, callJson } from "../daemon/api.ts"
import { requireCredentials, requireDaemon } from "../daemon/require.ts"
import { Failure, program } from "../failure.ts"
import { existingHome } from "../home.ts"
import { print, printJson, table } from "../terminal.ts"

type Options = { home?: string; json?: boolean }

/** `fractus account create NAME`: a new account with a root access key, which is shown this once. */
export const createAccount = async (name: string, options: Options): Promise<void> => {
  if (!/^[\w+=,.@ -]{1,50}$/.test(name)) {
    throw new Failure(
      2,
      "an account's name has 1 to 50 letters, digits, spaces or + = , . @ - _",
      `${program} account create team-a`,
    )
  }
  const home = existingHome(options.home)
  const { endpoint } = requireDaemon(home)
  const token = requireCredentials(home).controlToken
  const account = await callJson<Account>(endpoint, "POST", "/_fractus/accounts", { body: { name }, token })
  if (options.json === true) return printJson(account)
  const { accessKeyId, secretAccessKey } = account
  print(
    table([
      ["Account", account.account],
      ["Access key", accessKeyId ?? ""],
      ["Secret key", secretAccessKey ?? ""],
    ]),
  )
}

/** `fractus account list`. */
export const listAccounts = async (options: Options): Promise<void> => {
  const home = existingHome(options.home)
  const { endpoint } = requireDaemon(home)
  const token = requireCredentials(home).controlToken
  const answer = await callJson<Account[] | { accounts: Account[] }>(endpoint, "GET", "/_fractus/accounts", { token })
  const accounts = Array.isArray(answer) ? answer : answer.accounts
  if (options.json === true) printJson({ accounts })
  else print(table(accounts.map(({ account, name }) => [account, name ?? ""])))
}
