import { statSync } from 'node:fs'
import { databaseUrlOfEnvironment } from '../environment.ts'
import { sentenceOf } from '../failure.ts'
import { masterKeyFile, readMasterKey } from '../master-key.ts'
import { type Finding, ok, problem, warning } from './finding.ts'

const NODE_LEAST = [20, 19] as const

/** What can be told without the database. */
export function examineInstallation(dataFolder: string): Finding[] {
  return [nodeVersion(), dataFolderPermissions(dataFolder), masterKey(dataFolder)]
}

function nodeVersion(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const isRecent = major > NODE_LEAST[0] || (major === NODE_LEAST[0] && minor >= NODE_LEAST[1])
  const what = `Node.js ${process.versions.node}`
  return isRecent ? ok(what) : problem(what, `Install Node.js ${NODE_LEAST.join('.')} or later.`)
}

function dataFolderPermissions(dataFolder: string): Finding {
  const folder = statSync(dataFolder, { throwIfNoEntry: false })
  if (!folder) {
    const what = `There is no data folder ${dataFolder}`
    return databaseUrlOfEnvironment()
      ? ok(`${what}; DATABASE_URL is used`)
      : problem(what, 'Run "npm start", or name the folder with --data.')
  }
  if ((folder.mode & 0o077) === 0) return ok(`Data folder ${dataFolder} is its owner's only`)
  return warning(
    `Data folder ${dataFolder} is open to others (${(folder.mode & 0o777).toString(8)})`,
    `chmod 700 ${dataFolder}`,
  )
}

function masterKey(dataFolder: string): Finding {
  try {
    const found = readMasterKey(dataFolder)
    if (!found) return warning('There is no master key', 'Set NEMO_MASTER_KEY, or let "nemo start" make one.')
    if (found.origin !== masterKeyFile(dataFolder)) return ok('The master key is in NEMO_MASTER_KEY')
    const { mode } = statSync(found.origin)
    if ((mode & 0o077) === 0) return ok(`The master key is in ${found.origin}; keep a copy elsewhere`)
    return problem(`${found.origin} is open to others (${(mode & 0o777).toString(8)})`, `chmod 600 ${found.origin}`)
  } catch (error) {
    return problem(sentenceOf(error), 'Without it no provider key can be read.')
  }
}
