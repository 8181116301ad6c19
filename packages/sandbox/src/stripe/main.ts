import { parseArgs } from 'node:util'
import { startStripeEmulator } from './emulator.ts'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '12111' },
    'secret-key': { type: 'string', default: 'sk_test_emulator' },
    'webhook-secret': { type: 'string', default: 'whsec_emulator' },
    'webhook-url': { type: 'string', default: 'http://127.0.0.1:4000/api/stripe/webhook' },
  },
})

const emulator = await startStripeEmulator({
  port: Number(values.port),
  secretKey: values['secret-key'],
  webhookSecret: values['webhook-secret'],
  webhookUrl: values['webhook-url'],
})
process.stdout.write(`Stripe emulator listening on ${emulator.url}, its events go to ${values['webhook-url']}

STRIPE_API_BASE=${emulator.url} STRIPE_SECRET_KEY=${values['secret-key']} STRIPE_WEBHOOK_SECRET=${values['webhook-secret']}
`)

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void emulator.close())
