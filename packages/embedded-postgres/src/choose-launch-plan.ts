import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, existsSync, lchownSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ClusterFolders } from './cluster-folders.ts'
import { commandUnder, describePlan, type LaunchPlan, launchPlans } from './launch-plan.ts'
import { serverEnvironment } from './server-environment.ts'

/** The first plan under which the data folder can be reached, with the folders' owners made to fit it. */
export function chooseLaunchPlan(folders: ClusterFolders): LaunchPlan {
  const hasCluster = existsSync(folders.data)
  const { uid, gid } = statSync(hasCluster ? folders.data : folders.root)
  const plans = launchPlans({ uid: process.getuid?.() ?? -1, owner: { uid, gid }, hasCluster, passwd: readPasswd() })

  const failures: string[] = []
  for (const plan of plans) {
    if (plan.kind === 'direct') return plan
    const failure = letThrough([folders.root, folders.postgres], plan) ?? whyUnreachable(plan, folders.postgres)
    if (failure === null) {
      if (plan.kind === 'drop' && hasCluster && uid !== plan.uid) giveAway(folders.data, plan)
      return plan
    }
    failures.push(`${describePlan(plan)}: ${failure}`)
  }
  throw new Error(
    `PostgreSQL refuses to run as root, and no other way reaches ${folders.root} (${failures.join('; ')}). ` +
      'Set NEMO_DATA_DIR to a folder that other users can get to, such as /var/lib/nemo, run nemo as an ordinary user, or set DATABASE_URL to a server of yours.',
  )
}

function readPasswd(): string {
  try {
    return readFileSync('/etc/passwd', 'utf8')
  } catch {
    return ''
  }
}

// The folders stay root's, so that the server's user can't replace what else lies there; his group may pass, and no more.
function letThrough(folders: string[], plan: LaunchPlan): string | null {
  if (plan.kind !== 'drop') return null
  try {
    for (const folder of folders) {
      if (statSync(folder).uid !== 0) continue
      chownSync(folder, 0, plan.gid)
      chmodSync(folder, (statSync(folder).mode & 0o777) | 0o010)
    }
    return null
  } catch (error) {
    // A container without CAP_CHOWN.
    return (error as Error).message
  }
}

// One run of /bin/sh answers both: whether the plan works on this machine, and whether it gets into the folder.
function whyUnreachable(plan: LaunchPlan, folder: string): string | null {
  const { file, args, as } = commandUnder(plan, '/bin/sh', ['-c', 'cd "$0"', folder])
  const probe = spawnSync(file, args, { ...as, env: serverEnvironment(), cwd: '/', encoding: 'utf8', timeout: 10_000 })
  if (probe.status === 0) return null
  return probe.error?.message ?? probe.stderr.trim()
}

function giveAway(path: string, to: { uid: number; gid: number }): void {
  lchownSync(path, to.uid, to.gid)
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const child = join(path, entry.name)
    if (entry.isDirectory()) giveAway(child, to)
    else lchownSync(child, to.uid, to.gid)
  }
}
