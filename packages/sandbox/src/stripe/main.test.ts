import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

test('the process says what to set, sends its events on, and stops cleanly on SIGTERM', async () => {
  const hook = createServer((request, response) => response.end(request.headers['stripe-signature']))
  await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve))
  const { port } = hook.address() as AddressInfo
  const main = fileURLToPath(new URL('./main.ts', import.meta.url))
  const to = `http://127.0.0.1:${port}/hook`
  const child = spawn(process.execPath, ['--import', 'tsx', main, '--port', '0', '--webhook-url', to])
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const url =
    /^STRIPE_API_BASE=(http:\S+) STRIPE_SECRET_KEY=sk_test_emulator STRIPE_WEBHOOK_SECRET=whsec_emulator$/m.exec(
      line.toString(),
    )![1]!

  const event = once(hook, 'request')
  const post = async (path: string, body: string) => {
    const answer = await fetch(url + path, {
      method: 'POST',
      body,
      headers: { authorization: 'Bearer sk_test_emulator' },
    })
    return answer.json()
  }
  const body = 'mode=payment&success_url=http://x&line_items[0][price_data][unit_amount]=500'
  const session = (await post('/v1/checkout/sessions', body)) as { id: string }
  await post(`/v1/checkout/sessions/${session.id}/expire`, '')
  const [request] = (await event) as [{ headers: Record<string, string> }]
  expect(request.headers['stripe-signature']).toMatch(/^t=\d+,v1=[0-9a-f]{64}$/)

  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
  hook.closeAllConnections()
  hook.close()
})
