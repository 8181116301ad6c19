import type { Dialect, DialectName } from './dialect.ts'
import { anthropic } from './dialects/anthropic/dialect.ts'
import { cohere } from './dialects/cohere/dialect.ts'
import { converse } from './dialects/converse/dialect.ts'
import { gemini } from './dialects/gemini/dialect.ts'
import { openai } from './dialects/openai/dialect.ts'

/** Every dialect by its name. */
export const DIALECTS: Readonly<Record<DialectName, Dialect>> = { openai, anthropic, gemini, converse, cohere }
