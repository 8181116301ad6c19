import { modelSegment } from '../../dialect.ts'

/** Colons are encoded too, as AWS's own clients do: what is signed is the path as it is sent, encoded once more. */
export function modelPath(model: string, operation: string): string {
  return `/model/${modelSegment(model).replaceAll(':', '%3A')}/${operation}`
}
