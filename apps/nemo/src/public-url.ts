import { variable } from './environment.ts'

/** Where people reach a nemo that this command only knows by its environment, without a slash at the end. */
export function publicUrlOfEnvironment(): string {
  return (
    variable('NEMO_PUBLIC_URL')?.replace(/\/+$/, '') ??
    `http://localhost:${variable('NEMO_PORT') ?? variable('PORT') ?? '4000'}`
  )
}
