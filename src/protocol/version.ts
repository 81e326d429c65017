/**
 * What `version` fields, `sys/health` and the CLI say: the Vault release whose API this is, then our own. Clients compare
 * the part before the `+` (semantic versioning 2.0, clause 10).
 */
export const apiVersion = '1.21.0'
export const cofferVersion = '0.1.0'
export const programVersion = `${apiVersion}+coffer.${cofferVersion}`

/** What the catalog of plugins says of a method or engine that came with the server, as Vault's own do. */
export const builtinVersion = `v${apiVersion}+builtin.vault`
/** And of those that are plugins there, built in. */
export const pluginVersion = 'v0.21.0+builtin'
