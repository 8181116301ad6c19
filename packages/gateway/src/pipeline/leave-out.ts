import { elementsOf, valueBytes } from '@nemo/codec/json-members'
import type { WireRequest } from '@nemo/codec/wire'
import { withoutOurs } from './extras.ts'

/** The request without some of its fields: top-level ones by their names, and tools as `tools[2]`. */
export function leaveOut(request: WireRequest, params: readonly string[]): WireRequest {
  const edits = new Map(request.edits)
  const fields = { ...request.fields }
  const without = (name: string) => {
    edits.set(name, null)
    delete fields[name]
  }
  for (const param of params) if (!TOOL.test(param)) without(param)
  const isKept = (_: unknown, i: number) => !params.includes(`tools[${i}]`)
  const tools = Array.isArray(fields.tools) ? fields.tools.filter(isKept) : null
  if (tools?.length === 0) without('tools')
  else if (tools && params.some((param) => TOOL.test(param))) {
    const written = Buffer.from(edits.get('tools') ?? valueBytes(request.body, request.members, 'tools')!)
    edits.set('tools', `[${elementsOf(written).filter(isKept).join(',')}]`)
    fields.tools = tools
  }
  return { ...request, edits, fields, chat: () => request.surface.readRequest(withoutOurs(fields)) }
}

const TOOL = /^tools\[\d+\]$/
