import { invalidRequest } from '@nemo/domain/errors'
import { DIALECTS } from './dialects.ts'
import { translateEmbeddings } from './embeddings.ts'
import { translateImages } from './images.ts'
import { passMessages } from './passages/messages.ts'
import { passOpenAi } from './passages/openai.ts'
import { passResponses } from './passages/responses.ts'
import { translate } from './translation.ts'
import type { Wire, WireRequest, WireTarget } from './wire.ts'

/**
 * Puts a request to a deployment: in the caller's own bytes where the provider speaks what the caller speaks, else in the provider's dialect. Throws a 400 that
 * names the field on what the provider can't do, unless `target.unsupported` lets it pass.
 */
export function wireOf(request: WireRequest, target: WireTarget): Wire {
  const { endpoint, surface } = request
  const { dialect, endpoints } = target.provider
  if (endpoint !== 'chat') {
    const pictures = endpoint === 'images' ? translateImages(request, target) : null
    if (pictures) return pictures
    if (dialect === 'openai') return passOpenAi(request, target)
    const translated = endpoint === 'embeddings' ? translateEmbeddings(request, target, DIALECTS[dialect]) : null
    if (translated) return translated
    throw invalidRequest('model', `${target.provider.title} has no ${endpoint} that can be called here.`)
  }
  if (surface.name === 'chat' && dialect === 'openai') return passOpenAi(request, target)
  if (surface.name === 'messages' && dialect === 'anthropic') return passMessages(request, target)
  if (surface.name === 'responses' && endpoints.includes('responses')) return passResponses(request, target)
  return translate(request, target, DIALECTS[dialect])
}
