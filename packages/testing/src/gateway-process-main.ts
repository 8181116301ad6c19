import { namedProcess } from '@nemo/embedded-postgres/process-identity'
import { Gateway } from '@nemo/gateway/gateway'
import { listen } from '@nemo/gateway/server'
import { DEFAULT_SETTINGS } from '@nemo/gateway/settings'

/** What gateway-process.ts starts: it prints its address, and serves until it is killed. */
const { settings, masterKey, ...options } = JSON.parse(process.argv[2]!)
const gateway = await Gateway.start({
  ...options,
  masterKey: Buffer.from(masterKey, 'hex'),
  journalOwner: namedProcess,
  settings: { ...DEFAULT_SETTINGS, ...settings },
  log: { warn: () => {}, error: () => {} },
})
const { url } = await listen(gateway, { host: '127.0.0.1', port: 0 })
process.stdout.write(`${url}\n`)
