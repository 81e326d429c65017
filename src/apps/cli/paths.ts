/** Without outer blanks and slashes. */
export function sanitizePath(path: string): string {
  return path.trim().replace(/^\/+/, '').trim().replace(/\/+$/, '')
}

/** `secret` and `secret/` → `secret/`; nothing stays nothing. */
export function withSlash(path: string): string {
  const trimmed = path.trim()
  return trimmed === '' || trimmed.endsWith('/') ? trimmed : `${trimmed}/`
}
