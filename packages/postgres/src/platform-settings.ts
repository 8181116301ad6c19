import type { Transaction } from './tenancy.ts'

/** What the operator decided for the whole platform. */
export interface PlatformSettings {
  /** Whether anyone may sign up, or only who was invited. */
  readonly sign_up: 'open' | 'invited'
  /** Credits to begin with, for who signs up: a decimal of USD. */
  readonly sign_up_grant: string
}

const DEFAULTS: PlatformSettings = { sign_up: 'open', sign_up_grant: '5' }

/** As nemo_identity or the operator. */
export async function readPlatformSettings(db: Transaction): Promise<PlatformSettings> {
  const { rows } = await db.query('select name, value from platform_settings')
  return { ...DEFAULTS, ...Object.fromEntries(rows.map(({ name, value }) => [name, value])) }
}

/** What is left out stays as it is. As the operator. */
export async function writePlatformSettings(operator: Transaction, settings: Partial<PlatformSettings>): Promise<void> {
  await operator.query(
    `insert into platform_settings (name, value) select key, value from jsonb_each($1::jsonb)
     on conflict (name) do update set value = excluded.value, updated_at = clock_timestamp()`,
    [JSON.stringify(settings)],
  )
}
