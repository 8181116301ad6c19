/** 32-bit floats, little-endian, as OpenAI has vectors in base64 (https://platform.openai.com/docs/api-reference/embeddings/create#embeddings-create-encoding_format). */
export function base64Of(values: readonly number[]): string {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [i, value] of values.entries()) bytes.writeFloatLE(value, i * 4)
  return bytes.toString('base64')
}
