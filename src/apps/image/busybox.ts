import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ImageError, type Tool } from './tool.ts'

/**
 * A static busybox: this machine's, else Debian's package, unpacked and not installed.
 * @returns its path, below `work` when it was downloaded.
 */
export async function findBusybox(work: string, tool: Tool, say: (line: string) => void): Promise<string> {
  for (const path of ['/bin/busybox', '/usr/bin/busybox'])
    if (existsSync(path) && (await isStatic(path, tool))) return path
  say('downloading busybox-static (Debian)')
  const downloads = mkdtempSync(join(tmpdir(), 'coffer-busybox-'))
  try {
    // Without it apt tries to become another user, who can't write here.
    const apt = ['apt-get', '-o', 'APT::Sandbox::User=root', '-qq']
    const run = async (argv: readonly string[]): Promise<boolean> => (await tool(argv, { cwd: downloads })).isOk
    const download = (): Promise<boolean> => run([...apt, 'download', 'busybox-static'])
    if (!(await download())) {
      await run([...apt, 'update'])
      if (!(await download())) throw new Error('apt-get download busybox-static failed')
    }
    const archive = readdirSync(downloads).find(name => name.endsWith('.deb')) ?? ''
    const folder = join(work, 'busybox')
    if (!(await run(['dpkg', '-x', join(downloads, archive), folder]))) throw new Error('dpkg -x failed')
    return [join(folder, 'bin/busybox'), join(folder, 'usr/bin/busybox')].find(path => existsSync(path)) ?? ''
  } catch (error) {
    throw new ImageError(
      `there is no static busybox, and Debian's can not be fetched (${(error as Error).message}): name one with -busybox=FILE`,
    )
  } finally {
    rmSync(downloads, { recursive: true, force: true })
  }
}

async function isStatic(path: string, tool: Tool): Promise<boolean> {
  return /not a dynamic|statically linked/.test((await tool(['ldd', path])).output)
}
