#!/usr/bin/env node
// The main job as a newcomer does it: `npm start` in an empty data folder, the curl line that it prints, a call with the openai SDK,
// and the charge. Exits 1 with a sentence when anything isn't as README says.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import OpenAI from 'openai'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const data = mkdtempSync(join(tmpdir(), 'nemo-smoke-'))
const env = { ...process.env, NEMO_DATA_DIR: data, NEMO_PORT: String(20_000 + (process.pid % 10_000)) }
delete env.DATABASE_URL
delete env.OPENAI_API_KEY

const nemo = (...words) =>
  execFileSync(process.execPath, [join(root, 'dist/nemo.mjs'), ...words, '--json'], { env, encoding: 'utf8' })

const began = performance.now()
const npm = spawn('npm', ['start'], { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] })
try {
  const greeting = await untilPrinted(npm, 'Ctrl-C stops it')
  console.log(`listening after ${Math.round(performance.now() - began)} ms, the build included`)
  const key = /sk-nemo-[0-9A-Za-z]+/.exec(greeting)?.[0]
  const baseURL = /Listening on\s+(\S+)/.exec(greeting)?.[1]
  const curl = /^\s*(curl .*)$/m.exec(greeting)?.[1]
  assert(key && baseURL && curl, `npm start prints a key, an address and a curl line, not:\n${greeting}`)

  const answer = JSON.parse(execFileSync('sh', ['-c', `${curl} -s`], { encoding: 'utf8' }))
  assert(answer.choices[0].message.content, 'the curl line works as it is')

  const openai = new OpenAI({ apiKey: key, baseURL, maxRetries: 0 })
  const model = (await openai.models.list()).data.find(({ id }) => id.includes('chat')).id
  const {
    data: completion,
    response,
    request_id,
  } = await openai.chat.completions
    .create({ model, messages: [{ role: 'user', content: 'Say hello.' }], max_tokens: 50 })
    .withResponse()
  const cost = response.headers.get('x-nemo-request-cost')
  assert(Number(cost) > 0 && completion.usage.total_tokens > 0, 'a call with the openai SDK has a cost')
  let streamed = ''
  for await (const chunk of await openai.chat.completions.create({
    model,
    messages: [{ role: 'user', content: 'Say hello.' }],
    max_tokens: 50,
    stream: true,
  })) {
    streamed += chunk.choices[0]?.delta?.content ?? ''
  }
  assert.equal(streamed, completion.choices[0].message.content, 'a stream gives the same text')

  const logs = nemo('logs')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const row = logs.find(
    (log) => JSON.stringify(log).includes(request_id) || log.id?.replaceAll('-', '') === request_id.slice(4),
  )
  assert(row, 'the call is in the log')
  assert(JSON.stringify(row).includes(cost), `the log names the cost of the header, ${cost}: ${JSON.stringify(row)}`)
  assert.equal(logs.length, 3, 'every call has one row')
  const doctor = JSON.parse(nemo('doctor'))
  console.log('charged', cost, 'USD;', logs.length, 'calls logged; doctor:', JSON.stringify(doctor).slice(0, 200))
  const ended = new Promise((resolve) => npm.once('exit', resolve))
  npm.kill('SIGTERM')
  assert.equal(await ended, 0, 'SIGTERM stops it with exit code 0')
  assert.throws(() => execFileSync('pgrep', ['-f', data]), 'nothing of it is left running')
} finally {
  npm.kill('SIGKILL')
  rmSync(data, { recursive: true, force: true })
}

function untilPrinted(child, text) {
  return new Promise((resolve, reject) => {
    let printed = ''
    const timer = setTimeout(
      () => reject(new Error(`npm start did not print "${text}" within 60 s, only:\n${printed}`)),
      60_000,
    )
    child.stdout.on('data', (chunk) => {
      printed += chunk
      if (!printed.includes(text)) return
      clearTimeout(timer)
      resolve(printed)
    })
    child.once('exit', (code) => reject(new Error(`npm start ended with ${code}, having printed:\n${printed}`)))
  })
}
