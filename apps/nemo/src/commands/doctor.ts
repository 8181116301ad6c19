import type { Command } from 'commander'
import { examine } from '../doctor/examine.ts'
import type { Finding } from '../doctor/finding.ts'
import { print, printJson } from '../output.ts'
import { type CommonOptions, examples, withCommonOptions } from './options.ts'

const MARKS = { ok: '✓', warning: '!', problem: '✗' } as const

export function addDoctorCommand(program: Command): void {
  withCommonOptions(program.command('doctor'))
    .description('Say what is wrong with this installation, and what to do. Exits with 1 when something is (✗).')
    .addHelpText('after', examples('nemo doctor', 'nemo doctor --json | jq \'.findings[] | select(.level != "ok")\''))
    .action(run)
}

async function run(options: CommonOptions): Promise<void> {
  const findings = await examine(options)
  const healthy = !findings.some((finding) => finding.level === 'problem')
  if (options.json) printJson({ healthy, findings })
  else for (const finding of findings) print(describe(finding))
  if (!healthy) process.exitCode = 1
}

function describe({ level, what, remedy }: Finding): string {
  return `${MARKS[level]} ${what}${remedy ? `\n    ${remedy}` : ''}`
}
