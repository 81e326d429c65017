/** What a user must change in the configuration: names the key and the file. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}
