import { invalidRequest } from '@nemo/domain/errors'
import type { JsonObject } from '../chat/request.ts'

/**
 * Fields as `multipart/form-data` (https://www.rfc-editor.org/rfc/rfc7578; names are escaped as browsers do, https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data).
 * `boundary` must be a word that nobody could have put into them. Throws a 400 that names a field which is neither text nor a number nor a truth.
 */
export function writeForm(fields: JsonObject, boundary: string): Buffer {
  const parts = Object.entries(fields).map(([name, value]) => {
    if (!['string', 'number', 'boolean'].includes(typeof value))
      throw invalidRequest(name, `${name} must be text, a number, true or false.`)
    return `--${boundary}\r\ncontent-disposition: form-data; name="${escaped(name)}"\r\n\r\n${value}\r\n`
  })
  return Buffer.from(`${parts.join('')}--${boundary}--\r\n`)
}

function escaped(name: string): string {
  return name.replaceAll('\r', '%0D').replaceAll('\n', '%0A').replaceAll('"', '%22')
}
