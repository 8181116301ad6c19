import { startEmbeddedPostgres } from '@nemo/embedded-postgres/embedded-postgres'
import { lockDataFolder } from '@nemo/embedded-postgres/lock-data-folder'
import type { Log } from '../log.ts'
import type { StartOptions } from './start-options.ts'
import type { Teardown } from './teardown.ts'

/** Takes the data folder for this process. Throws DataFolderBusy, which names who has it. */
export function takeDataFolder(options: StartOptions, teardown: Teardown): void {
  const lock = lockDataFolder(options.dataFolder)
  teardown.add('the lock of the data folder', async () => lock.release())
}

/** The URL of the database: the operator's own server, or PostgreSQL brought up on the data folder. */
export async function openPostgres(
  options: StartOptions,
  teardown: Teardown,
  log: Log,
  onGiveUp: (error: Error) => void,
): Promise<string> {
  if (options.databaseUrl !== null) return options.databaseUrl
  const postgres = await startEmbeddedPostgres({
    dataFolder: options.dataFolder,
    log: (text) => log.info({}, text),
    onGiveUp,
  })
  teardown.add('PostgreSQL', () => postgres.stop())
  return postgres.url
}
