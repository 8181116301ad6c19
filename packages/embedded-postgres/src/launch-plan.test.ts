import { describe, expect, it } from 'vitest'
import { commandUnder, launchPlans } from './launch-plan.ts'

const root = { uid: 0, gid: 0 }
const alice = { uid: 1001, gid: 1002 }
const passwd = [
  'root:x:0:0::/root:/bin/sh',
  'nobody:x:65534:65533::/:/bin/false',
  'postgres:x:101:104::/:/bin/sh',
  '',
].join('\n')

describe('the launch plan', () => {
  it('runs the server as whoever is not root', () => {
    expect(launchPlans({ uid: 1001, owner: alice, hasCluster: true, passwd })).toEqual([{ kind: 'direct' }])
  })

  it('tries a user namespace for root before it drops to another user', () => {
    expect(launchPlans({ uid: 0, owner: root, hasCluster: true, passwd })).toEqual([
      { kind: 'unshare' },
      { kind: 'drop', uid: 101, gid: 104 },
    ])
  })

  it('drops to nobody where there is no postgres, and to 65534 where there is neither', () => {
    const users = (passwd: string) => launchPlans({ uid: 0, owner: root, hasCluster: false, passwd })[1]
    expect(users('nobody:x:65534:65533::/:/bin/false\n')).toEqual({ kind: 'drop', uid: 65534, gid: 65533 })
    expect(users('')).toEqual({ kind: 'drop', uid: 65534, gid: 65534 })
  })

  it("never takes an ordinary user's cluster away from him when root starts it", () => {
    expect(launchPlans({ uid: 0, owner: alice, hasCluster: true, passwd })).toEqual([{ kind: 'drop', ...alice }])
  })

  it('has root prefer the owner of a data folder in which there is no cluster yet', () => {
    const plans = launchPlans({ uid: 0, owner: alice, hasCluster: false, passwd })
    expect(plans.map((plan) => plan.kind)).toEqual(['drop', 'unshare', 'drop'])
    expect(plans[0]).toEqual({ kind: 'drop', ...alice })
  })

  it('puts each plan into a command', () => {
    expect(commandUnder({ kind: 'direct' }, '/bin/x', ['-a'])).toEqual({ file: '/bin/x', args: ['-a'], as: {} })
    expect(commandUnder({ kind: 'unshare' }, '/bin/x', ['-a'])).toEqual({
      file: 'unshare',
      args: ['--user', '--map-user=1000', '--map-group=1000', '--', '/bin/x', '-a'],
      as: {},
    })
    expect(commandUnder({ kind: 'drop', ...alice }, '/bin/x', ['-a'])).toEqual({
      file: '/bin/x',
      args: ['-a'],
      as: alice,
    })
  })
})
