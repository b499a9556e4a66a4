/** The description of the API as one page without scripts, images or anything from elsewhere. Everything in it is escaped. */

export const STYLE = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); --soft: color-mix(in srgb, currentColor 6%, transparent) }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line) }
h3 { font: 600 1rem/1.6 ui-monospace, monospace; margin: 2rem 0 .25rem; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; font-size: .9rem }
td, th { text-align: left; vertical-align: top; border-top: 1px solid var(--line); padding: .25rem .75rem .25rem 0 }
code, pre { font: .85rem/1.45 ui-monospace, monospace }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; border-radius: .25rem }
summary { cursor: pointer }
a { color: inherit }
`

type Json = Readonly<Record<string, unknown>>

/** @param description as `describeApi` makes it. */
export function pageOf(description: Json): string {
  const { info, paths, components } = description
  const { title, version, description: about } = record(info)
  const operations = Object.entries(record(paths)).flatMap(([path, item]) =>
    Object.entries(record(item)).map(([method, one]) => operation(method, path, record(one))),
  )
  const schemas = Object.entries(record(record(components)['schemas'])).map(([name, schema]) => component(name, record(schema)))
  return [
    '<!doctype html>',
    `<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${text(title)}</title><style>${STYLE}</style></head><body>`,
    `<h1>${text(title)}</h1><p>Version ${text(version)} · <a href="/api/openapi.json">as OpenAPI 3.1</a></p><p>${text(about)}</p>`,
    `<h2>Requests</h2>${operations.join('')}`,
    `<h2>Shapes</h2>${schemas.join('')}`,
    '</body></html>',
  ].join('\n')
}

function operation(method: string, path: string, { summary, parameters, requestBody, responses }: Json): string {
  const given = list(parameters).map((one) => {
    const { name, in: where, required, schema } = record(one)
    return `<tr><td><code>${text(name)}</code></td><td>${text(where)}${required === true ? ', needed' : ''}</td><td>${shape(schema)}</td></tr>`
  })
  const answers = Object.entries(record(responses)).map(
    ([status, one]) => `<tr><td>${text(status)}</td><td>${text(record(one)['description'])}</td><td>${contents(record(one)['content'])}</td></tr>`,
  )
  const body = requestBody === undefined ? '' : `<p>Body: ${contents(record(requestBody)['content'])}</p>`
  const table = given.length === 0 ? '' : `<table>${given.join('')}</table>`
  return `<section><h3>${text(method.toUpperCase())} ${text(path)}</h3><p>${text(summary)}</p>${table}${body}<details><summary>Answers</summary><table>${answers.join('')}</table></details></section>`
}

function contents(content: unknown): string {
  return Object.entries(record(content))
    .map(([type, media]) => `<code>${text(type)}</code> ${shape(record(media)['schema'])}`)
    .join('<br>')
}

function component(name: string, { examples, ...schema }: Json): string {
  const [example] = list(examples)
  return `<section id="${text(name)}"><h3>${text(name)}</h3><pre>${text(JSON.stringify(example, null, 2))}</pre><details><summary>Schema</summary><pre>${text(JSON.stringify(schema, null, 2))}</pre></details></section>`
}

/** A schema in a few words, linked where it has a name. */
function shape(schema: unknown): string {
  const { $ref, type, items, pattern, ...rest } = record(schema)
  if (typeof $ref === 'string') {
    const name = $ref.split('/').at(-1)
    return `<a href="#${text(name)}">${text(name)}</a>`
  }
  if (type === 'array') return `list of ${shape(items)}`
  const { enum: choices, const: only, format } = rest
  const said = list(choices).length > 0 ? list(choices).join(' | ') : (only ?? format ?? type ?? 'anything')
  return text(typeof pattern === 'string' ? `${String(said)} ${pattern}` : said)
}

function record(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function text(value: unknown): string {
  return String(value ?? '').replace(/[&<>"']/g, (found) => ENTITIES[found] ?? '')
}
