import type { Nanos } from '@nemo/domain/money'
import type { JsonObject } from '../chat/request.ts'
import { readBilledNanos } from '../dialects/openai.ts'

/** What it billed for an answer, which says so in API units (https://www.recraft.ai/docs/api-reference/getting-started), of which a thousand are a dollar (https://www.recraft.ai/docs/api-reference/pricing). */
export function readBilled({ credits }: JsonObject): Nanos | null {
  return typeof credits === 'number' ? readBilledNanos({ cost: credits / 1_000 }) : null
}
