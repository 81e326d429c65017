import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const src = fileURLToPath(new URL('../../', import.meta.url))

/** All that loading a file loads, by following its imports; packages by name. Types and late imports load nothing. */
function loaded(first: string): Set<string> {
  const found = new Set<string>()
  const open = [join(src, first)]
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (found.has(relative(src, path))) continue
    found.add(relative(src, path))
    const text = readFileSync(path, 'utf8')
    for (const [, name = ''] of text.matchAll(/^(?:import|export)\s(?!type\b)[^;'"]*?from '([^']+)'/gm)) {
      if (name.startsWith('#')) open.push(join(src, name.slice(1)))
      else if (name.startsWith('.')) open.push(join(dirname(path), name))
      else if (!name.startsWith('node:')) found.add(`package ${name}`)
    }
  }
  return found
}

test('the agent loads no server, nothing of Kubernetes, and no package', () => {
  const files = [...loaded('apps/agent/command.ts')]
  assert.ok(files.includes('client/api.ts'))
  const strangers = files.filter(file =>
    /^(?:package |kube\/|core\/|stores\/|engines\/|auth\/|backend\/|apps\/(?!agent\/)|ground\/grpc)/.test(file),
  )
  assert.deepEqual(strangers, [])
})
