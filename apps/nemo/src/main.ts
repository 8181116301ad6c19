#!/usr/bin/env node
import { CommanderError } from 'commander'
import { Failure, sentenceOf } from './failure.ts'
import { note } from './output.ts'
import { makeProgram } from './program.ts'

try {
  await makeProgram().parseAsync()
} catch (error) {
  process.exit(exitCodeOf(error))
}

/** 0 when it was asked for help, 1 when something failed, 2 when the command line is wrong. Says what it was in one sentence. */
function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  note(process.env.NEMO_DEBUG && error instanceof Error ? `${error.stack}` : sentenceOf(error))
  return error instanceof Failure ? error.exitCode : 1
}
