/** What the control plane knows of a data plane in the same process, which it doesn't import. */
export interface GatewayBeside {
  /** Calls under way. */
  readonly activeCalls: number
  readonly ledger: {
    readonly processId: string
    /** Charges that aren't in the database yet. */
    readonly journalBytes: number
    readonly pending: number
  }
  readonly providers: ProviderDesk
}

/** What is known of providers, and how a credential is tried. */
export interface ProviderDesk {
  readonly types: readonly ProviderType[]
  /** What is missing or wrong, and in which part of it, as far as that can be told without asking the provider; null for nothing. */
  check(credential: ClearCredential): { readonly param: string; readonly message: string } | null
  /** Asks the provider something that costs nothing, with the credential; never throws. */
  test(credential: ClearCredential): Promise<Tested>
}

export interface ProviderType {
  readonly name: string
  readonly title: string
  readonly baseUrl: string | null
  readonly settings: readonly { readonly name: string; readonly description: string; readonly default: string | null }[]
  readonly secret: 'required' | 'optional'
  readonly documentation: string
  readonly notes: string | null
}

export interface ClearCredential {
  readonly name: string
  readonly provider: string
  readonly baseUrl: string | null
  readonly settings: Readonly<Record<string, string>>
  /** In clear. Null where it takes none. */
  readonly secret: string | null
}

export interface Tested {
  readonly outcome: 'works' | 'refused' | 'unreachable' | 'unclear'
  /** In words, without the secret. */
  readonly message: string
  readonly status: number | null
  readonly latencyMs: number
}
