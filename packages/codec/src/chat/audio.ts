import type { Audio } from './answer.ts'

/** What was said aloud, for APIs that have no place for sound: its words, or where they aren't known the sound itself, as Markdown has what isn't text. */
export function textOfAudio({ data, transcript }: Pick<Audio, 'data' | 'transcript'>): string {
  return transcript ?? `![](data:audio/pcm;base64,${data})`
}

/** The same of a stream. Its state is that of one choice. */
export class AudioText {
  /** Words and sound come in pieces of their own: where there are words, the sound isn't told. */
  #hasWords = false

  next({
    id,
    data,
    transcript,
  }: {
    readonly id: string | null
    readonly data: string | null
    readonly transcript: string | null
  }): string {
    // Who gives it a name has words for it, though they may come later.
    if (id !== null || transcript !== null) this.#hasWords = true
    if (transcript !== null) return transcript
    return data === null || this.#hasWords ? '' : textOfAudio({ data, transcript: null })
  }
}
