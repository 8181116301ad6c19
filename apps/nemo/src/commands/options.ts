import { type Command, InvalidArgumentError, Option } from 'commander'

/** What every command that reads or writes the database takes. */
export interface CommonOptions {
  data?: string
  json?: boolean
}

export function withCommonOptions(command: Command): Command {
  return command
    .option('--data <folder>', 'where the data lives (NEMO_DATA_DIR; ./.nemo unless told; DATABASE_URL comes first)')
    .option('--json', 'print JSON for a program')
}

/** Examples under a command's help. */
export function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`
}

export function collect(value: string, previous: string[] | undefined): string[] {
  return [...(previous ?? []), value]
}

/** A whole number from 1 on. */
export function parseCount(text: string): bigint {
  if (/^\d{1,15}$/.test(text) && BigInt(text) > 0n) return BigInt(text)
  throw new InvalidArgumentError('It must be a whole number of at least 1.')
}

/** An option for such a number. Help writes what it is otherwise as JSON, which has no bigints, unless it is told how. */
export function countOption(flags: string, description: string, otherwise: bigint): Option {
  return new Option(flags, description).argParser(parseCount).default(otherwise, String(otherwise))
}

/** Names separated by commas. */
export function namesOf(text: string): string[] {
  return text
    .split(',')
    .map((name) => name.trim())
    .filter(Boolean)
}
