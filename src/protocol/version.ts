/**
 * What `version` fields, `sys/health` and the CLI say: the Vault release whose API this is, then our own. Clients compare
 * the part before the `+` (semantic versioning 2.0, clause 10).
 */
export const apiVersion = '1.21.0'
export const cofferVersion = '0.1.0'
export const programVersion = `${apiVersion}+coffer.${cofferVersion}`
