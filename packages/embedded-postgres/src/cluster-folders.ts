import { chmodSync, chownSync, existsSync, mkdirSync, realpathSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** Where things lie in a data folder. Paths are real ones, so that they compare equal to those of a running server. */
export type ClusterFolders = {
  root: string
  postgres: string
  data: string
  connection: string
  log: string
}

export function clusterFolders(dataFolder: string): ClusterFolders {
  const root = existsSync(dataFolder) ? realpathSync(dataFolder) : resolve(dataFolder)
  const postgres = join(root, 'postgres')
  return {
    root,
    postgres,
    data: join(postgres, 'data'),
    connection: join(postgres, 'connection.json'),
    log: join(postgres, 'postgres.log'),
  }
}

/** Makes the folders, readable by their owner only. Throws when they belong to another user. */
export function openClusterFolders(dataFolder: string): ClusterFolders {
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 })
  const folders = clusterFolders(dataFolder)
  for (const folder of [folders.root, folders.postgres]) refuseForeign(folder)
  if (!existsSync(folders.postgres)) {
    mkdirSync(folders.postgres, { mode: 0o700 })
    chmodSync(folders.postgres, 0o700)
    giveToOwnerOfParent(folders.postgres)
  }
  return folders
}

/** What root writes into an ordinary user's folder must stay that user's, or he could not start without root again. */
export function giveToOwnerOfParent(path: string): void {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = statSync(dirname(path))
  if (uid !== 0) chownSync(path, uid, gid)
}

function refuseForeign(folder: string): void {
  const me = process.getuid?.()
  if (me === undefined || me === 0 || !existsSync(folder)) return
  const { uid } = statSync(folder)
  if (uid === me) return
  throw new Error(
    `${folder} belongs to user id ${uid}, and this process runs as ${me}. Run as that user, or name another folder in NEMO_DATA_DIR.`,
  )
}
