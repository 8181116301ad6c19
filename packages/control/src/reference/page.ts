export const STYLE = `
:root{color-scheme:light dark;--line:light-dark(#ddd,#333);--soft:light-dark(#f6f6f6,#1c1c1c);--dim:light-dark(#666,#999)}
body{margin:0;font:15px/1.5 system-ui,sans-serif;display:grid;grid-template-columns:15rem minmax(0,1fr)}
nav{position:sticky;top:0;height:100vh;overflow:auto;box-sizing:border-box;padding:1.5rem 1rem;border-right:1px solid var(--line);background:var(--soft)}
nav a{display:block;color:inherit;text-decoration:none;padding:.15rem 0}nav a:hover{text-decoration:underline}
main{padding:1.5rem 2.5rem;max-width:60rem}h2{margin-top:3rem;border-bottom:1px solid var(--line)}
details{border:1px solid var(--line);border-radius:6px;margin:.6rem 0;padding:.5rem .8rem}summary{cursor:pointer}
code,pre{font:13px/1.5 ui-monospace,monospace}pre{background:var(--soft);padding:.8rem;border-radius:6px;overflow:auto}
.method{display:inline-block;min-width:4rem;font-weight:600}.dim{color:var(--dim)}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line)}
@media(max-width:50rem){body{display:block}nav{position:static;height:auto}main{padding:1rem}}`

interface Operation {
  readonly summary: string
  readonly description?: string
  readonly tags: readonly string[]
  readonly security?: unknown
  readonly 'x-nemo-permission'?: string
  readonly 'x-nemo-operator'?: boolean
  readonly parameters: readonly { name: string; in: string; required: boolean; schema: unknown; description?: string }[]
  readonly requestBody?: { content: Record<string, { schema: unknown; example?: unknown }> }
  readonly responses: Record<string, { description: string; content?: Record<string, { schema?: unknown }> }>
}

/** The reference as a page, of an OpenAPI document. */
export function pageOf(document: Record<string, unknown>): string {
  const { info, tags, paths } = document as {
    info: { title: string; version: string; description: string }
    tags: { name: string }[]
    paths: Record<string, Record<string, Operation>>
  }
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  const groups = tags.map(({ name }) => ({
    name,
    operations: operations.filter((one) => one.operation.tags[0] === name),
  }))
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${text(info.title)}</title><style>${STYLE}</style></head>
<body><nav><strong>${text(info.title)}</strong><p class="dim">${text(info.version)} · <a href="/api/openapi.json">openapi.json</a></p>
${groups.map(({ name }) => `<a href="#${text(name)}">${text(name)}</a>`).join('\n')}</nav>
<main><h1>${text(info.title)}</h1><p>${text(info.description)}</p>
${groups.map((group) => `<h2 id="${text(group.name)}">${text(group.name)}</h2>${group.operations.map(sectionOf).join('\n')}`).join('\n')}
</main></body></html>`
}

function sectionOf({ path, method, operation }: { path: string; method: string; operation: Operation }): string {
  const access =
    operation['x-nemo-permission'] ??
    (operation['x-nemo-operator'] ? 'operator' : operation.security ? 'signed in' : 'anyone')
  const parameters = operation.parameters.map(
    (one) =>
      `<tr><td><code>${text(one.name)}</code></td><td class="dim">${one.in}${one.required ? '' : ', optional'}</td><td>${text(one.description ?? '')} <code>${json(one.schema)}</code></td></tr>`,
  )
  const bodies = Object.entries(operation.requestBody?.content ?? {}).map(
    ([type, { schema, example }]) =>
      `<h4>Body <span class="dim">${text(type)}</span></h4>${example === undefined ? '' : `<pre>${json(example)}</pre>`}<details><summary>Schema</summary><pre>${json(schema)}</pre></details>`,
  )
  const answers = Object.entries(operation.responses).map(([status, { description, content }]) => {
    const schema = Number(status) < 400 ? Object.values(content ?? {})[0]?.schema : undefined
    return `<tr><td><code>${status}</code></td><td>${text(description)}${schema ? `<details><summary>Schema</summary><pre>${json(schema)}</pre></details>` : ''}</td></tr>`
  })
  return `<details><summary><span class="method">${method}</span> <code>${text(path)}</code> · ${text(operation.summary)}</summary>
<p class="dim">${text(access)}</p>${operation.description ? `<p>${text(operation.description)}</p>` : ''}
${parameters.length > 0 ? `<table>${parameters.join('')}</table>` : ''}${bodies.join('')}<h4>Answers</h4><table>${answers.join('')}</table></details>`
}

function json(value: unknown): string {
  return text(JSON.stringify(value, null, 2))
}

function text(value: string): string {
  return value.replaceAll(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
