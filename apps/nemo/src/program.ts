import { VERSION } from '@nemo/gateway/routes'
import { Command } from 'commander'
import { addAuditCommands } from './commands/audit.ts'
import { addCreditsCommands } from './commands/credits.ts'
import { addDoctorCommand } from './commands/doctor.ts'
import { addGroupCommands } from './commands/group.ts'
import { addKeyCommands } from './commands/key.ts'
import { addLogsCommand } from './commands/logs.ts'
import { addMigrateCommand } from './commands/migrate.ts'
import { addModelsCommands } from './commands/models.ts'
import { addOperatorCommands } from './commands/operator.ts'
import { addOrganizationCommands } from './commands/organization.ts'
import { addProveCommand } from './commands/prove.ts'
import { addProviderCommands } from './commands/provider.ts'
import { addReplayCommand } from './commands/replay.ts'
import { addRouteCommands } from './commands/route.ts'
import { addStartCommand } from './commands/start.ts'
import { addVaultCommands } from './commands/vault.ts'

/** The command line. */
export function makeProgram(): Command {
  const program = new Command('nemo')
    .description('Nemo Router: an LLM gateway that anyone can run.')
    .version(VERSION)
    .exitOverride()
    .showHelpAfterError('(add --help for how it is used)')

  addStartCommand(program)
  addOrganizationCommands(program)
  addKeyCommands(program)
  addProviderCommands(program)
  addModelsCommands(program)
  addGroupCommands(program)
  addRouteCommands(program)
  addCreditsCommands(program)
  addLogsCommand(program)
  addAuditCommands(program)
  addOperatorCommands(program)
  addMigrateCommand(program)
  addVaultCommands(program)
  addDoctorCommand(program)
  addProveCommand(program)
  addReplayCommand(program)
  return program
}
