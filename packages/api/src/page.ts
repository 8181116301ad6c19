/** A page as the API writes it, of rows read with `limit + 1`: the one too many says that there is more. */
export function pageOf<T extends { readonly id: string }>(rows: readonly T[], limit: number) {
  const data = rows.slice(0, limit)
  return {
    object: 'list' as const,
    data,
    has_more: rows.length > limit,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
  }
}
