import { parseArgs } from 'node:util'
import { startSandbox } from './sandbox.ts'
import { readConfig } from './settings.ts'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '4010' },
    host: { type: 'string', default: '127.0.0.1' },
    'api-key': { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
  },
})

const sandbox = await startSandbox({
  port: Number(values.port),
  host: values.host,
  config: readConfig(Object.fromEntries(values.set.map(setting))),
  ...(values['api-key'] !== undefined && { apiKey: values['api-key'] }),
})
process.stdout.write(`sandbox listening on ${sandbox.url}\n`)

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void sandbox.close())

/** `--set latency_ms=20`: the value is JSON, or else the text itself. */
function setting(argument: string): [string, unknown] {
  const at = argument.indexOf('=')
  if (at < 0) throw new Error(`--set ${argument}: expected name=value`)
  const value = argument.slice(at + 1)
  try {
    return [argument.slice(0, at), JSON.parse(value)]
  } catch {
    return [argument.slice(0, at), value]
  }
}
