import { uuidv7 } from '@nemo/domain/ids'
import { databaseForThisTest } from '@nemo/testing/fresh-database'
import { expect, test } from 'vitest'
import { DeploymentLoads } from './deployment-loads.ts'

test('a deployment’s load is that of its last 60 seconds', () => {
  const loads = new DeploymentLoads()
  loads.add('d', { requests: 1, tokens: 10 }, 0)
  loads.add('d', { requests: 2, tokens: 20 }, 30_000)
  expect(loads.of('d', 59_999)).toEqual({ requests: 3, tokens: 30 })
  expect(loads.of('d', 60_000)).toEqual({ requests: 2, tokens: 20 })
  expect(loads.of('d', 90_000)).toEqual({ requests: 0, tokens: 0 })
  expect(loads.of('other', 0)).toEqual({ requests: 0, tokens: 0 })
})

test('each process hears of what the others sent, and of its own only once', async () => {
  const { app } = await databaseForThisTest()
  const [one, two] = [new DeploymentLoads(), new DeploymentLoads()]
  const [deployment, first, second] = [uuidv7(), uuidv7(), uuidv7()]
  one.add(deployment, { requests: 1, tokens: 10 }, 1_000)
  two.add(deployment, { requests: 5, tokens: 50 }, 1_000)
  await one.share(app, first, 1_000)
  await two.share(app, second, 1_000)
  await one.share(app, first, 1_000)
  expect(one.of(deployment, 1_000)).toEqual({ requests: 6, tokens: 60 })
  expect(two.of(deployment, 1_000)).toEqual({ requests: 6, tokens: 60 })
})
