import { z } from 'zod'
import { route } from './route.ts'

const secret = z.string().trim().min(1).max(500)
/** Where it was found, as the finder says. */
const url = z.string().max(2_000)

/** One find as GitHub's secret scanning tells of it (https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partner-program). */
const alert = z.object({
  token: secret,
  type: z.string().max(200).optional(),
  url: url.nullable().optional(),
  source: z.string().max(200).nullable().optional(),
})

export const leakedKeyRoutes = {
  reportLeakedKeys: route({
    method: 'POST',
    path: '/api/public/leaked-keys',
    access: 'public',
    summary: 'Report virtual keys that were found where anyone may read them',
    description:
      'Those that work are revoked at once, and their organizations are told. Whoever has a key may have it revoked, so nothing is asked of the reporter; the answer is the same for keys that there aren’t. Takes one key, or what GitHub’s secret scanning sends.',
    body: z.union([z.strictObject({ key: secret, url: url.optional() }), z.array(alert).min(1).max(100)]),
    example: { key: 'sk-nemo-0000000000000000000000000000000000000000000000', url: 'https://example.com/paste/1' },
    response: z.object({ object: z.literal('leak_report'), status: z.literal('received') }),
    status: 202,
    limits: [{ by: 'address', max: 120, seconds: 600 }],
  }),
}
