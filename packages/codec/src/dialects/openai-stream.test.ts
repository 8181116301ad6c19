import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OpenAiStream } from './openai-stream.ts'

const chunk = (content: string, more = '') =>
  `{"id":"c1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":${JSON.stringify(content)}},"finish_reason":null}]${more}}`
const usage =
  '{"id":"c1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"completion_tokens_details":{"reasoning_tokens":1}}}'

const recording = (eol: string) =>
  [
    ': a comment first',
    '',
    `data: ${chunk('Grüße, 世界 🌍')}`,
    '',
    `data: ${chunk('"usage":{"prompt_tokens":1} and "error" and [DONE] in the text', ',"usage":null')}`,
    '',
    ': keep-alive',
    '',
    'event: message',
    `data: ${chunk('end')}`,
    '',
    `data: ${usage}`,
    '',
    'data: [DONE]',
    '',
    '',
  ].join(eol)

function play(pieces: Buffer[]) {
  const stream = new OpenAiStream({ choices: 1, inputTokens: 9 })
  const out = pieces.map((piece) => Buffer.from(stream.push(piece)))
  out.push(Buffer.from(stream.end()))
  return { text: Buffer.concat(out).toString(), stream }
}

function split(bytes: Buffer, cuts: number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length))
}

describe('OpenAiStream', () => {
  test.each([
    ['LF', '\n'],
    ['CRLF', '\r\n'],
    ['CR', '\r'],
  ])('any byte split of a recording with %s gives the same bytes and the same usage', (_, eol) => {
    const bytes = Buffer.from(recording(eol))
    const whole = play([bytes])
    expect(whole.text).toBe(recording(eol).slice(0, recording(eol).indexOf(`data: ${usage}`)))
    expect(whole.stream).toMatchObject({
      done: true,
      events: 3,
      error: null,
      usage: { input: 9, output: 3, reasoning: 1 },
    })
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 40 }), (cuts) => {
        const parts = play(split(bytes, cuts))
        expect(parts.text).toBe(whole.text)
        expect(parts.stream).toMatchObject({ done: true, events: 3, usage: whole.stream.usage })
      }),
      { numRuns: 500 },
    )
    expect(play([...bytes].map((byte) => Buffer.from([byte]))).text).toBe(whole.text)
  })

  test('a stream cut at any byte before its end is never done', () => {
    const bytes = Buffer.from(recording('\n'))
    const end = bytes.lastIndexOf('[DONE]') + '[DONE]'.length
    for (let cut = 0; cut < end; cut++) {
      const { text, stream } = play([bytes.subarray(0, cut)])
      expect(stream.done).toBe(false)
      // What was handed on is whole events: a client never sees half a JSON.
      for (const line of text.split('\n').filter((line) => line.startsWith('data: '))) JSON.parse(line.slice(6))
    }
    expect(play([bytes.subarray(0, end)]).stream.done).toBe(true)
  })

  test('nothing is handed on before the first event that carries data', () => {
    const stream = new OpenAiStream({ choices: 1, inputTokens: 9 })
    expect(stream.push(Buffer.from(': waiting\n\n')).length).toBe(0)
    expect(stream.push(Buffer.from('data: {"choices":[{}]}\n\n')).toString()).toBe(
      ': waiting\n\ndata: {"choices":[{}]}\n\n',
    )
  })

  test('nor before the first that says something: after a mere opening another provider can still be asked', () => {
    const opening =
      '{"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}]}'
    const filtered = '{"choices":[],"prompt_filter_results":[]}'
    const events = (...data: string[]) => data.map((one) => `data: ${one}\n\n`).join('')
    const stream = new OpenAiStream({ choices: 1, inputTokens: 9 })
    expect(stream.push(Buffer.from(events(filtered, opening))).length).toBe(0)
    expect(stream.events).toBe(0)
    expect(stream.push(Buffer.from(events(chunk('a')))).toString()).toBe(events(filtered, opening, chunk('a')))
    expect(stream.events).toBe(3)

    for (const pieces of [
      [`${opening}|{"error":{"message":"overloaded"}}`],
      [opening, '{"error":{"message":"overloaded"}}'],
    ]) {
      const { stream: failed } = play(pieces.map((piece) => Buffer.from(events(...piece.split('|')))))
      expect([failed.events, failed.error?.message]).toEqual([0, 'overloaded'])
    }
    for (const says of [
      '{"choices":[{"delta":{"role":"assistant","reasoning_content":"so"}}]}',
      '{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}',
      '{"choices":[{"delta":{},"finish_reason":"stop"}]}',
      '{"choices":[{"text":"legacy"}]}',
      '{"choices":[{"delta":{"role":"assistant"}}],"usage":{"prompt_tokens":9,"completion_tokens":1}}',
    ]) {
      const { stream: began } = play([Buffer.from(events(says))])
      expect(began.events).toBe(1)
    }
    // However it is split, an opening that something follows counts.
    expect(play([Buffer.from(events(opening, chunk('a'), usage, '[DONE]'))]).stream.events).toBe(2)
  })

  test('a first event that isn’t JSON is refused, while another provider can still be asked; later ones aren’t read', () => {
    const half = 'data: {"choices":[{"ind\n\n'
    const whole = 'data: {"choices":[]}\n\n'
    const pushed = (text: string) => new OpenAiStream({ choices: 1, inputTokens: 1 }).push(Buffer.from(text)).toString()
    expect(() => pushed(half)).toThrow(SyntaxError)
    expect(() => pushed(`: wait\n\ndata:\n\n${half}${whole}`)).toThrow(SyntaxError)
    expect(pushed(whole + half)).toBe(whole + half)
    expect(pushed('data: [DONE]\n\n')).toBe('')
  })

  test('an error amid the stream is told and nothing after it is handed on', () => {
    const { text, stream } = play([
      Buffer.from(
        `data: ${chunk('a')}\n\ndata: {"error":{"message":"overloaded","code":"server_error"}}\n\ndata: ${chunk('b')}\n\n`,
      ),
    ])
    expect(text).toBe(`data: ${chunk('a')}\n\n`)
    expect(stream.error).toEqual({ message: 'overloaded', param: null, code: 'server_error' })
    expect(stream.done).toBe(false)
  })

  test.each([
    [
      'beside choices',
      '"error":{"message":"overloaded","code":502},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]',
    ],
    ['within one', '"choices":[{"index":0,"delta":{},"error":{"message":"overloaded"},"finish_reason":"error"}]'],
  ])('an error that is told %s ends the stream as one', (_, failed) => {
    const { text, stream } = play([
      Buffer.from(`data: ${chunk('a')}\n\ndata: {"id":"c1",${failed}}\n\ndata: [DONE]\n\n`),
    ])
    expect(text).toBe(`data: ${chunk('a')}\n\n`)
    expect(stream.error?.message).toBe('overloaded')
    expect(stream.done).toBe(false)
  })

  test('usage that stands in the choice that ends is counted and handed on', () => {
    const line =
      'data: {"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":2,"completion_tokens":1}}]}\n\n'
    const { text, stream } = play([Buffer.from(line)])
    expect(text).toBe(line)
    expect(stream.usage).toEqual({ input: 2, output: 1 })
  })

  test('usage that rides on a chunk with content is counted and handed on', () => {
    const line = `data: ${chunk('a', ',"usage":{"prompt_tokens":2,"completion_tokens":1}')}\n\n`
    const { text, stream } = play([Buffer.from(line)])
    expect(text).toBe(line)
    expect(stream.usage).toEqual({ input: 2, output: 1 })
  })

  test('an event without end is refused, and one in a thousand chunks is put together', () => {
    const endless = new OpenAiStream({ choices: 1, inputTokens: 9 })
    const chunk = Buffer.alloc(1024 * 1024, 'x')
    expect(() => {
      for (let i = 0; i < 40; i++) endless.push(chunk)
    }).toThrow(RangeError)

    const commenting = new OpenAiStream({ choices: 1, inputTokens: 9 })
    const comments = Buffer.from(': wait\n\n'.repeat(500_000))
    expect(() => {
      for (let i = 0; i < 12; i++) commenting.push(comments)
    }).toThrow(RangeError)

    const long = `data: {"choices":[{"delta":{"content":"${'y'.repeat(100_000)}"}}]}\n\n`
    const { text } = play(Array.from({ length: 1_000 }, (_, i) => Buffer.from(long.slice(i * 101, (i + 1) * 101))))
    expect(text).toBe(long)
  })

  test('usage that is no count is as good as none', () => {
    const { stream } = play([
      Buffer.from('data: {"choices":[],"usage":{"prompt_tokens":-5,"completion_tokens":1e99}}\n\n'),
    ])
    expect(stream.usage).toBeNull()
  })
})
