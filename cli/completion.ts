import type { Command } from "commander"

/** What a command takes, read off the commander tree. Choices are those of an option or of the first argument. */
export type Node = {
  words: string[]
  options: { flag: string; takesValue: boolean; choices: string[] }[]
  choices: string[]
}

/** Every command by its path (`""`, `up`, `image list`, ...). */
export const commandTree = (program: Command): Map<string, Node> => {
  const tree = new Map<string, Node>()
  const visit = (command: Command, path: string): void => {
    const options = command.createHelp().visibleOptions(command)
    tree.set(path, {
      words: command.commands.map((child) => child.name()),
      options: options.flatMap((option) =>
        [option.long, option.short]
          .filter((flag) => flag !== undefined && flag !== null)
          .map((flag) => ({ flag, takesValue: option.required || option.optional, choices: option.argChoices ?? [] })),
      ),
      choices: command.registeredArguments[0]?.argChoices ?? [],
    })
    for (const child of command.commands) visit(child, path === "" ? child.name() : `${path} ${child.name()}`)
  }
  visit(program, "")
  return tree
}

const pattern = (path: string): string => (path === "" ? '""' : `"${path}"`)

const wordsCase = (tree: Map<string, Node>): string[] =>
  [...tree].map(([path, node]) => {
    const words = [...node.words, ...node.choices, ...node.options.map(({ flag }) => flag)]
    return `    ${pattern(path)}) words="${words.join(" ")}" ;;`
  })

const valuesCase = (tree: Map<string, Node>): string[] => {
  const values = new Map<string, string>()
  for (const { options } of tree.values()) {
    for (const { flag, takesValue, choices } of options) if (takesValue) values.set(flag, choices.join(" "))
  }
  return [...values].map(([flag, choices]) =>
    choices === ""
      ? `    ${flag}) COMPREPLY=($(compgen -f -- "$current")); return ;;`
      : `    ${flag}) COMPREPLY=($(compgen -W "${choices}" -- "$current")); return ;;`,
  )
}

/** A bash function that knows every command, option and choice. */
export const bashCompletion = (program: Command): string => {
  const tree = commandTree(program)
  const paths = [...tree.keys()].filter((path) => path !== "")
  return [
    '# eval "$(./fractus completion bash)"',
    "_fractus() {",
    '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" path="" words="" index',
    "  for ((index = 1; index < COMP_CWORD; index++)); do",
    '    case "${path:+$path }${COMP_WORDS[index]}" in',
    `      ${paths.map(pattern).join(" | ")}) path="\${path:+$path }\${COMP_WORDS[index]}" ;;`,
    "    esac",
    "  done",
    '  case "$previous" in',
    ...valuesCase(tree),
    "  esac",
    '  case "$path" in',
    ...wordsCase(tree),
    "  esac",
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    "}",
    "complete -o default -F _fractus fractus ./fractus",
  ].join("\n")
}

/** zsh runs bash's completion functions. */
export const zshCompletion = (program: Command): string =>
  [
    "autoload -Uz compinit bashcompinit",
    "(( $+functions[compdef] )) || compinit",
    "bashcompinit",
    bashCompletion(program),
  ].join("\n")
