import { parseUsd } from '@nemo/domain/money'
import { createOrganization, listOrganizations, postEntry } from '@nemo/postgres/organizations'
import { createVirtualKey } from '@nemo/postgres/virtual-keys'
import type pg from 'pg'

const CREDITS = '5'

export interface Demo {
  readonly organization: string
  readonly credits: string
  /** In clear, this once. */
  readonly key: string
}

/** Makes the demo organization with credits and a key, where there is no organization at all; else null. */
export async function makeDemo(operator: pg.Pool): Promise<Demo | null> {
  if ((await listOrganizations(operator)).length > 0) return null
  const demo = await createOrganization(operator, 'Demo', 'demo').catch((error) => {
    // Another process that started at this moment was faster, and prints its key.
    if (error.code === '23505') return null
    throw error
  })
  if (!demo) return null
  await postEntry(operator, {
    organizationId: demo.id,
    kind: 'grant',
    amountNanos: parseUsd(CREDITS),
    reference: 'sign-up',
    note: 'Credits to begin with',
  })
  const { key } = await createVirtualKey(operator, {
    organizationId: demo.id,
    teamId: demo.defaultTeamId,
    alias: 'demo',
  })
  return { organization: demo.slug, credits: CREDITS, key }
}
