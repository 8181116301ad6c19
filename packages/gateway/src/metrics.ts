import type { Ledger } from '@nemo/ledger/ledger'
import type { LedgerProof } from '@nemo/ledger/proof'
import { Gauge, Registry } from 'prom-client'

/** What a proof of the books can find wrong; each must be 0. */
const DRIFTS = ['overspent', 'heldDrift', 'balanceDrift', 'entryDrift', 'purchaseDrift'] as const

/** What a collector scrapes, in Prometheus' text format. Of the process and its ledger; nothing of any tenant. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #drift: Gauge<'kind'>

  constructor(ledger: Ledger, activeCalls: () => number) {
    const registers = [this.#registry]
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read())
        },
      })
    gauge('nemo_calls_active', 'Calls under way in this process.', activeCalls)
    gauge('nemo_ledger_holds_open', 'Requests that hold something of a limit.', () => ledger.open)
    gauge('nemo_ledger_allotments', 'Limits that this process holds something of.', () => ledger.allotments)
    gauge('nemo_journal_bytes', 'Bytes of charges that are not in the database yet.', () => ledger.journalBytes)
    gauge('nemo_journal_records', 'Charges that are not in the database yet.', () => ledger.pending)
    this.#drift = new Gauge({
      name: 'nemo_ledger_drift',
      help: 'What the last proof of the books found wrong, by kind. Must be 0.',
      labelNames: ['kind'],
      registers,
    })
  }

  /** Takes in what a proof found. */
  proved(proof: LedgerProof): void {
    for (const kind of DRIFTS) this.#drift.set({ kind }, proof[kind].length)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }
}
