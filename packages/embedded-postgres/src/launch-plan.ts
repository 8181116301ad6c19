/**
 * How the binaries are run. Postgres refuses to be root, so for root either a user namespace makes it look like user 1000
 * (outside it stays root, and reaches what root owns), or it is really run as another user.
 */
export type LaunchPlan = { kind: 'direct' } | { kind: 'unshare' } | { kind: 'drop'; uid: number; gid: number }

export type LaunchCircumstances = {
  uid: number
  /** The cluster's owner, or while there is no cluster the data folder's. */
  owner: { uid: number; gid: number }
  hasCluster: boolean
  /** The text of /etc/passwd. */
  passwd: string
}

/** The plans worth trying, best first. Which of them works is for the caller to find out. */
export function launchPlans({ uid, owner, hasCluster, passwd }: LaunchCircumstances): LaunchPlan[] {
  if (uid !== 0) return [{ kind: 'direct' }]
  const asRoot: LaunchPlan[] = [{ kind: 'unshare' }, { kind: 'drop', ...unprivilegedUser(passwd) }]
  if (owner.uid === 0) return asRoot
  // Chowning somebody's cluster to root would lock him out of it, so root becomes its owner instead.
  const asOwner: LaunchPlan = { kind: 'drop', uid: owner.uid, gid: owner.gid }
  return hasCluster ? [asOwner] : [asOwner, ...asRoot]
}

export type Command = { file: string; args: string[]; as: { uid?: number; gid?: number } }

export function commandUnder(plan: LaunchPlan, binary: string, args: string[]): Command {
  switch (plan.kind) {
    case 'direct':
      return { file: binary, args, as: {} }
    case 'unshare':
      return {
        file: 'unshare',
        args: ['--user', '--map-user=1000', '--map-group=1000', '--', binary, ...args],
        as: {},
      }
    case 'drop':
      return { file: binary, args, as: { uid: plan.uid, gid: plan.gid } }
  }
}

export function describePlan(plan: LaunchPlan): string {
  switch (plan.kind) {
    case 'direct':
      return 'as this user'
    case 'unshare':
      return 'in a user namespace'
    case 'drop':
      return `as user id ${plan.uid}`
  }
}

function unprivilegedUser(passwd: string): { uid: number; gid: number } {
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] =
      passwd
        .split('\n')
        .find((line) => line.startsWith(`${name}:`))
        ?.split(':') ?? []
    if (uid && gid && Number(uid) !== 0) return { uid: Number(uid), gid: Number(gid) }
  }
  return { uid: 65534, gid: 65534 }
}
