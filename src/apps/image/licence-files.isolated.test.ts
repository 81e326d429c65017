import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { licenceFiles } from './licence-files.ts'

test('the image carries the licence of all that it carries, and what has none here is named', () => {
  const root = mkdtempSync(join(tmpdir(), 'coffer-licences-'))
  const put = (path: string): string => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), path)
    return join(root, path)
  }
  try {
    put('package/LICENSE')
    put('unpacked/usr/share/doc/busybox-static/copyright')
    for (const name of ['libc6', 'libstdc++6', 'libgcc-s1']) put(`usr/share/doc/${name}/copyright`)
    for (const name of ['GPL-2', 'GPL-3', 'LGPL-2.1']) put(`usr/share/common-licenses/${name}`)
    const input = { node: put('package/bin/node'), busybox: put('unpacked/bin/busybox'), root }
    const { files, missing } = licenceFiles(input)
    assert.deepEqual(missing, ['libatomic1'])
    assert.deepEqual(
      files
        .filter(one => one.kind === 'file')
        .map(one => one.path)
        .sort(),
      [
        'usr/share/common-licenses/GPL-2',
        'usr/share/common-licenses/GPL-3',
        'usr/share/common-licenses/LGPL-2.1',
        'usr/share/doc/busybox-static/copyright',
        'usr/share/doc/libc6/copyright',
        'usr/share/doc/libgcc-s1/copyright',
        'usr/share/doc/libstdc++6/copyright',
        'usr/share/doc/node/LICENSE',
      ],
    )
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
})
