import { hash } from 'node:crypto'
import { ROUTES } from '@nemo/api/routes'
import type { FastifyInstance } from 'fastify'
import type { Control } from '../control.ts'
import { openApiOf } from './openapi.ts'
import { pageOf, STYLE } from './page.ts'

const VERSION = '0.1.0'

/** Serves the OpenAPI document, and a page made of it: no script, and nothing from elsewhere. */
export function addReference(app: FastifyInstance, control: Control): void {
  const styleHash = hash('sha256', STYLE, 'base64')
  app.get('/api/openapi.json', (_, reply) =>
    reply
      .header('cache-control', 'public, max-age=60')
      .type('application/json; charset=utf-8')
      .send(JSON.stringify(openApiOf(ROUTES, { url: control.publicUrl, version: VERSION }))),
  )
  app.get('/api/docs', (_, reply) =>
    reply
      .header(
        'content-security-policy',
        `default-src 'none'; style-src 'sha256-${styleHash}'; frame-ancestors 'none'; base-uri 'none'`,
      )
      .type('text/html; charset=utf-8')
      .send(pageOf(openApiOf(ROUTES, { url: control.publicUrl, version: VERSION }))),
  )
}
