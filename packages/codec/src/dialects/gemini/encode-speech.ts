import type { ChatRequest, JsonObject } from '../../chat/request.ts'
import type { Target } from '../../dialect.ts'
import { isObject } from '../../fields.ts'

/** Whether the answer is to be said aloud. */
export function isSpoken({ openAiOnly: { modalities } }: ChatRequest): boolean {
  return Array.isArray(modalities) && modalities.includes('audio') && modalities.every((one) => MODALITIES.has(one))
}

const MODALITIES = new Set<unknown>(['text', 'audio'])

/**
 * `responseModalities` and `speechConfig` (https://ai.google.dev/gemini-api/docs/speech-generation). OpenAI's API asks for text and audio together and means audio with its transcript; Google's
 * models that speak answer with audio alone, in 16-bit PCM at 24 kHz, which is what OpenAI calls `pcm16`.
 */
export function encodeSpeech(request: ChatRequest, unsupported: Target['unsupported']): JsonObject {
  if (!isSpoken(request)) return {}
  const { audio } = request.openAiOnly
  const { format, voice } = isObject(audio) ? audio : {}
  if (format !== 'pcm16') unsupported('audio.format', 'Gemini speaks in pcm16.')
  if (voice != null && typeof voice !== 'string')
    unsupported('audio.voice', 'Gemini’s voices are known by their names.')
  return {
    responseModalities: ['AUDIO'],
    ...(typeof voice === 'string' && { speechConfig: { voiceConfig: { prebuiltVoiceConfig: { voiceName: voice } } } }),
  }
}
