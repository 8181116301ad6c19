import type pg from 'pg'

const BATCH = 500
const IDLE_SECONDS = 60

/**
 * All rows of one organization, as the text of one JSON object with an array for each table, in one snapshot and batch by batch. As nemo_app, which sees
 * no secret: hashes and sealed secrets (bytea) are left out besides. A table that is added is in it without being named here.
 */
export async function* exportOrganization(app: pg.Pool, organizationId: string): AsyncGenerator<string> {
  const client = await app.connect()
  let isDone = false
  try {
    await client.query('begin isolation level repeatable read read only')
    // Who stops reading, and doesn't hang up, gives the connection back nonetheless.
    await client.query(`set local idle_in_transaction_session_timeout = '${IDLE_SECONDS}s'`)
    await client.query(`select set_config('app.organization_id', $1, true)`, [organizationId])
    const tables = await readableTables(client)
    yield `{"organization_id":${JSON.stringify(organizationId)},"exported_at":${JSON.stringify(new Date().toISOString())}`
    for (const { table, columns, where } of tables) {
      yield `,\n${JSON.stringify(table)}:[`
      let separator = '\n'
      await client.query(
        `declare export no scroll cursor for select row_to_json(r)::text as row from (select ${columns} from ${table} where ${where}) r`,
      )
      for (;;) {
        const { rows } = await client.query(`fetch ${BATCH} from export`)
        if (rows.length > 0) yield separator + rows.map(({ row }) => row).join(',\n')
        separator = ',\n'
        if (rows.length < BATCH) break
      }
      await client.query('close export')
      yield ']'
    }
    yield '}\n'
    isDone = true
  } finally {
    // Whoever hung up in the middle may have left a query under way.
    if (isDone) await client.query('rollback')
    client.release(!isDone)
  }
}

interface Table {
  readonly table: string
  readonly columns: string
  readonly where: string
}

async function readableTables(client: pg.PoolClient): Promise<Table[]> {
  const { rows } = await client.query(`
    select c.relname as table, string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns,
           bool_or(a.attname = 'organization_id') as is_tenants
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relnamespace = 'nemo'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and a.atttypid <> 'bytea'::regtype and has_column_privilege(c.oid, a.attnum, 'select')
     group by c.relname order by c.relname`)
  return rows
    .filter((row) => row.is_tenants || row.table === 'organizations' || row.table === 'users')
    .map((row) => ({
      table: row.table,
      columns: row.columns,
      where: row.is_tenants ? 'organization_id = current_organization()' : 'true',
    }))
}
