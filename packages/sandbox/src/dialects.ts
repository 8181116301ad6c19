import { anthropic } from './anthropic/dialect.ts'
import { bedrock } from './bedrock/dialect.ts'
import { cohere } from './cohere/dialect.ts'
import type { Dialect } from './dialect.ts'
import { gemini, vertex } from './gemini/dialect.ts'
import { azure } from './hosts/azure.ts'
import { cloudflareGateway } from './hosts/cloudflare-gateway.ts'
import { ibm } from './hosts/ibm.ts'
import { oci } from './hosts/oci.ts'
import { sagemaker } from './hosts/sagemaker.ts'
import { writer } from './hosts/writer.ts'
import { openai } from './openai/dialect.ts'
import { blackForestLabs, fal } from './pictures/dialect.ts'
import { recraft } from './pictures/recraft.ts'
import { stability } from './pictures/stability.ts'

/** The dialects by the first segment of the path; what has none of these is OpenAI's. */
const dialects: Record<string, Dialect> = {
  anthropic,
  azure,
  bedrock,
  bfl: blackForestLabs,
  'cloudflare-gateway': cloudflareGateway,
  cohere,
  fal,
  gemini,
  ibm,
  oci,
  recraft,
  sagemaker,
  stability,
  vertex,
  writer,
}

export type Mounted = {
  dialect: Dialect
  /** What is left of the path behind the segment that chose the dialect. OpenAI's is whole: it begins with /v1. */
  path: string
}

/** The dialect that a path speaks: /v1/… is OpenAI's, /anthropic/… Anthropic's, /cohere/… Cohere's, and so on. */
export function dialectOf(path: string): Mounted {
  const segment = path.split('/', 2)[1] ?? ''
  if (!Object.hasOwn(dialects, segment)) return { dialect: openai, path }
  return { dialect: dialects[segment]!, path: path.slice(segment.length + 1) }
}
