import { isObject } from '@nemo/codec/fields'
import { elementsOf, valueBytes } from '@nemo/codec/json-members'
import type { WireRequest } from '@nemo/codec/wire'
import { withoutOurs } from './extras.ts'

/** The request without some of its fields: top-level ones by their names, and tools as `tools[2]`, with a choice of what isn't there any more. */
export function leaveOut(request: WireRequest, params: readonly string[]): WireRequest {
  const edits = new Map(request.edits)
  const fields = { ...request.fields }
  const without = (name: string) => {
    if (fields[name] === undefined) return
    edits.set(name, null)
    delete fields[name]
  }
  const left = new Set(params)
  for (const param of left) if (!TOOL.test(param)) without(param)
  const given = Array.isArray(fields.tools) ? fields.tools : []
  const isKept = (_: unknown, i: number) => !left.has(`tools[${i}]`)
  const tools = given.filter(isKept)
  if (tools.length < given.length) {
    const written = Buffer.from(edits.get('tools') ?? valueBytes(request.body, request.members, 'tools')!)
    edits.set('tools', `[${elementsOf(written).filter(isKept).join(',')}]`)
    fields.tools = tools
    if (!isChoiceOf(fields.tool_choice, tools)) without('tool_choice')
  }
  if (given.length > 0 && tools.length === 0) for (const name of OF_TOOLS) without(name)
  return { ...request, edits, fields, chat: () => request.surface.readRequest(withoutOurs(fields)) }
}

const TOOL = /^tools\[\d+\]$/
/** What is refused where there are no tools. */
const OF_TOOLS = ['tools', 'tool_choice', 'parallel_tool_calls']

/** Whether one of the tools is what is to be called, by name or type; a choice of none in particular is one of any. */
function isChoiceOf(choice: unknown, tools: readonly unknown[]): boolean {
  if (!isObject(choice) || choice.type === 'allowed_tools') return true
  const { type, name, function: named } = choice
  const wanted = isObject(named) ? named.name : name
  const has = (tool: unknown) => {
    if (!isObject(tool)) return false
    return wanted === undefined ? tool.type === type : tool.name === wanted || nameIn(tool.function) === wanted
  }
  return (wanted === undefined && (type === 'auto' || type === 'any' || type === 'none')) || tools.some(has)
}

function nameIn(value: unknown): unknown {
  return isObject(value) ? value.name : undefined
}
