/** What a key may be allowed to call: the paths of the data plane below `/v1/` that spend. Reading what belongs to the key, such as its models, is always allowed. */
export const KEY_ENDPOINTS = ['chat/completions', 'messages', 'responses', 'embeddings', 'images/generations'] as const

export type KeyEndpoint = (typeof KEY_ENDPOINTS)[number]
