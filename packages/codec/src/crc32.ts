const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc >>> 0
})

/** The CRC-32 of the bytes (ISO 3309), as an unsigned integer. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[i]!) & 0xff]!
  return ~crc >>> 0
}

/** The text with a hash of `whole` behind it, in `lengthMax` characters: what is cut from two texts doesn't make them one. */
export function cutAndHashed(text: string, lengthMax: number, whole = text): string {
  const hash = crc32(new TextEncoder().encode(whole)).toString(16).padStart(8, '0')
  return `${text.slice(0, lengthMax - hash.length - 1)}_${hash}`
}
