import { dataFolderOf } from '../environment.ts'
import { sentenceOf } from '../failure.ts'
import { withOperator, withServer } from '../open-database.ts'
import { examineCatalogue } from './catalogue.ts'
import { type Finding, problem } from './finding.ts'
import { examineInstallation } from './installation.ts'
import { examineLedger } from './ledger.ts'
import { examineServer } from './schema.ts'

/** Looks at everything that can be looked at, and goes on where something fails. Changes nothing. */
export async function examine(options: { data?: string }): Promise<Finding[]> {
  const findings = examineInstallation(dataFolderOf(options.data))
  try {
    await withServer(options, async ({ url }) => {
      const server = await findingsOf('The database', () => examineServer(url))
      findings.push(...server)
      if (server.some((finding) => finding.level === 'problem')) return
      await withOperator(options, async (operator, { dataFolder }) => {
        findings.push(...(await findingsOf('The catalogue', () => examineCatalogue(operator, dataFolder))))
        findings.push(...(await findingsOf('The ledger', () => examineLedger(operator))))
      })
    })
  } catch (error) {
    findings.push(problem(sentenceOf(error), 'See <data folder>/postgres/postgres.log, or check DATABASE_URL.'))
  }
  return findings
}

async function findingsOf(subject: string, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look()
  } catch (error) {
    return [problem(`${subject} could not be examined: ${sentenceOf(error)}`, 'Mend what is said above first.')]
  }
}
