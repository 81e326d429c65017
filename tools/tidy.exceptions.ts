/**
 * Where a house rule doesn't hold, and why. `path` is a file or, ending in `/`, a folder; an exception that excuses
 * nothing any more is itself a finding.
 */
export type Exception = { readonly rule: string; readonly path: string; readonly reason: string }

export const exceptions: readonly Exception[] = [
  { rule: 'clock', path: 'src/ground/base/clock.ts', reason: 'it is the clock' },
  { rule: 'chance', path: 'src/ground/base/entropy.ts', reason: 'it is the entropy' },
  { rule: 'environment', path: 'src/main.ts', reason: 'it hands the environment to the apps' },
  { rule: 'default-export', path: 'tools/reporter.ts', reason: 'node:test takes a reporter as the default export' },
  { rule: 'modules', path: 'src/ground/process/child.ts', reason: 'it is what the others use' },
  {
    rule: 'modules',
    path: 'src/kube/exec-plugin.ts',
    reason: 'a plugin may ask a person: it stays in the process group of the terminal',
  },
  {
    rule: 'packages',
    path: 'src/apps/image/bundle.ts',
    reason: 'an image is built in a checkout, which has its development packages; the command says so elsewhere',
  },
  { rule: 'modules', path: 'src/ground/http/client.ts', reason: 'it is the client that the others use' },
  {
    rule: 'environment',
    path: 'src/stores/sqlite/sqlite.ts',
    reason: 'a worker gets our environment as it is, the compile cache above all; nothing is read from it',
  },
]
