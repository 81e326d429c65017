/** What a mount shows in audit lines; one object per mount entry, so that its text is made once. */
export type AuditedMount = {
  readonly path: string
  readonly type: string
  readonly accessor: string
  readonly version: string
  readonly class: 'secret' | 'auth'
  readonly openRequestKeys: ReadonlySet<string>
  readonly openResponseKeys: ReadonlySet<string>
}
