import type { Dialect, DialectName } from './dialect.ts'
import { openai } from './dialects/openai/dialect.ts'

/** Every dialect by its name. */
export const DIALECTS: Readonly<Partial<Record<DialectName, Dialect>>> = { openai }
