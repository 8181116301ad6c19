import type { IncomingMessage, ServerResponse } from 'node:http'
import { onePixelPng } from './png.ts'
import { parseObject, readBody } from './read-body.ts'
import { Refusal } from './refusal.ts'
import type { Sandbox } from './sandbox.ts'

type Controlled = Pick<Sandbox, 'config' | 'configure' | 'stats' | 'reset'>

/** The endpoints beside the provider's own: /sandbox/stats, /sandbox/config, /sandbox/reset, and the images it links. */
export async function control(sandbox: Controlled, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://sandbox')
  const bytes = await readBody(request)
  if (bytes === undefined) return
  const colour = /^\/sandbox\/images\/([0-9a-f]{6})\.png$/.exec(pathname)?.[1]
  if (colour !== undefined && request.method === 'GET') {
    response.writeHead(200, { 'content-type': 'image/png' }).end(onePixelPng(colour))
    return
  }
  switch (`${request.method} ${pathname}`) {
    case 'GET /sandbox/stats':
      return answer(
        response,
        sandbox.stats(searchParams.has('last') ? Number(searchParams.get('last')) || 0 : undefined),
      )
    case 'GET /sandbox/config':
      return answer(response, sandbox.config)
    case 'POST /sandbox/config':
      return answer(response, sandbox.configure(parseObject(bytes)))
    case 'POST /sandbox/reset':
      sandbox.reset()
      return answer(response, sandbox.config)
    default:
      throw new Refusal(404, `Invalid URL (${request.method} ${pathname})`)
  }
}

function answer(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}
