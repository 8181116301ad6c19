import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { GatewaySettings } from '@nemo/gateway/settings'
import type { World } from './world.ts'

/** A gateway in a process of its own, on the world's database: one that can be killed. */
export interface GatewayProcess {
  readonly url: string
  /** As `kill -9` does: without a good-bye. */
  kill(): Promise<void>
}

export async function startGatewayProcess(
  world: World,
  settings: Partial<GatewaySettings> = {},
): Promise<GatewayProcess> {
  const main = fileURLToPath(new URL('./gateway-process-main.ts', import.meta.url))
  const options = {
    databaseUrl: world.database.url,
    masterKey: world.masterKey.toString('hex'),
    journalFolder: world.journalFolder,
    settings,
  }
  const child = spawn(process.execPath, ['--import', 'tsx', main, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (line: Buffer) => resolve(line.toString().trim()))
    child.once('exit', (code) => reject(new Error(`the gateway ended with ${code} before it listened`)))
  })
  return { url: `${url}/v1`, kill: () => kill(child) }
}

function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}
