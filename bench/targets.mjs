import { fileURLToPath } from 'node:url'
import { bundle } from './bundle.mjs'
import { MODEL, PRICE_USD, UPSTREAM_MODEL } from './conversation.mjs'
import { LOAD_CORE, startServer, TARGET_CORE } from './processes.mjs'

const ENDPOINT = '/v1/chat/completions'

/**
 * Starts what is measured: the upstream on the load's core, and beside each other on the target's core the baseline and the gateway with its
 * PostgreSQL. `extraArguments` are Node's own, for the gateway.
 */
export async function startTargets({ limited, extraArguments = [] }) {
  const started = []
  const start = async (name, core, args) => {
    const server = await startServer(name, core, args)
    started.push(server)
    return server
  }
  const stop = () => Promise.all(started.map((server) => server.stop()))
  try {
    const upstream = await start('upstream', LOAD_CORE, [script('upstream.mjs')])
    const bare = await start('bare-proxy', TARGET_CORE, [script('bare-proxy.mjs'), upstream.url])
    const setup = {
      baseUrl: `${upstream.url}/v1`,
      model: MODEL,
      upstreamModel: UPSTREAM_MODEL,
      priceUsd: PRICE_USD,
      limited,
    }
    const gateway = await bundle('start-gateway')
    const nemo = await start('nemo', TARGET_CORE, [...extraArguments, gateway, JSON.stringify(setup)])
    return {
      upstream,
      databaseUrl: nemo.databaseUrl,
      targets: [
        { name: 'direct', url: upstream.url + ENDPOINT, pid: upstream.pid, headers: {} },
        { name: 'bare-proxy', url: bare.url + ENDPOINT, pid: bare.pid, headers: {} },
        {
          name: 'nemo',
          url: nemo.url + ENDPOINT,
          pid: nemo.pid,
          postgresPid: nemo.postgresPid,
          headers: { authorization: `Bearer ${nemo.key}` },
        },
      ],
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function script(name) {
  return fileURLToPath(new URL(name, import.meta.url))
}
