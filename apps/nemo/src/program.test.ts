import type { Command } from 'commander'
import { expect, test } from 'vitest'
import { makeProgram } from './program.ts'

const commandsOf = (command: Command): Command[] => [command, ...command.commands.flatMap(commandsOf)]

const pathOf = (command: Command): string => (command.parent ? `${pathOf(command.parent)} ` : '') + command.name()

test.each(commandsOf(makeProgram()).map((command) => [pathOf(command), command] as const))(
  '%s says how it is used',
  (path, command) => {
    const help = command.helpInformation()
    expect(help).toContain(`Usage: ${path}`)
    if (command.name() !== 'prove-child') expect(command.description()).not.toBe('')
  },
)
