import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { writeFileAtomically } from '#ground/process/atomic-file.ts'
import { FlagError, type Flags, type FlagValues, parseFlags, stringFlag } from '#ground/text/flags.ts'
import { flagsHelp } from '#ground/text/flags-help.ts'
import type { Command, Io } from '#protocol/command.ts'
import { cofferVersion } from '#protocol/version.ts'
import { imageArchive } from './archive.ts'
import type { TarEntry } from '#ground/base/tar.ts'
import { findBusybox } from './busybox.ts'
import { bundleForImage } from './bundle.ts'
import { entryPoint, type RootFiles, rootFiles } from './root-files.ts'
import { ImageError, makeTool } from './tool.ts'

const imageFlags = {
  o: stringFlag({ usage: 'Write the image to this file, a tar archive.' }),
  ref: stringFlag({ usage: 'Its reference, with a tag that is not latest; default localhost/coffer:VERSION.' }),
  compress: stringFlag({
    default: 'none',
    usage: 'Compression of the layers: none, or gzip, a third of the size after half a minute.',
  }),
  rootfs: stringFlag({ usage: 'Write the root file system into this new folder instead, for deploy/Dockerfile.' }),
  busybox: stringFlag({ usage: "A static busybox; default this machine's, else Debian's package." }),
} satisfies Flags

type ImageFlags = FlagValues<typeof imageFlags>

const help = (calledAs: string): string => `Usage: ${calledAs} image build [options]

  Builds the image that server, injector and agents run in, from files and without
  a container engine. Only from a checkout.

      $ ${calledAs} image build -o coffer.tar -ref=registry.example.org/coffer:${cofferVersion}
      $ ctr -n k8s.io images import coffer.tar          # or kind load image-archive, docker load, podman load

${flagsHelp([{ title: 'Command Options', flags: imageFlags }])}`

/** `coffer image build`. Exit codes: 0 written, 1 what a person must mend. */
export const command: Command = {
  async run(argv, io) {
    try {
      const [what, ...rest] = argv
      if (what === undefined || /^--?h(elp)?$/.test(what)) throw new FlagError('help', '')
      if (what !== 'build') throw new ImageError(`there is no "image ${what}": build`)
      await build(parseFlags(imageFlags, rest).values, io)
      return 0
    } catch (error) {
      if (error instanceof FlagError && error.code === 'help') {
        io.stdout(`${help(io.calledAs)}\n`)
        return 0
      }
      if (!(error instanceof FlagError) && !(error instanceof ImageError)) throw error
      io.stderr(`Error: ${error.message}\n`)
      return 1
    }
  },
}

async function build(flags: ImageFlags, io: Io): Promise<void> {
  const reference = flags.ref || `localhost/coffer:${cofferVersion}`
  if (!/:[\w][\w.-]*$/.test(reference) || reference.endsWith(':latest')) {
    throw new ImageError(`-ref "${reference}" needs a tag that is not latest`)
  }
  if ((flags.o === '') === (flags.rootfs === '')) throw new ImageError('name one of -o=FILE and -rootfs=FOLDER')
  const { compress } = flags
  if (compress !== 'none' && compress !== 'gzip') throw new ImageError(`-compress "${compress}" is not none or gzip`)
  const target = resolve(io.cwd, flags.o || flags.rootfs)
  if (flags.rootfs !== '' && existsSync(target)) throw new ImageError(`${target} exists: name a new folder`)
  const work = mkdtempSync(join(tmpdir(), 'coffer-image-'))
  try {
    const tool = makeTool(io.world, io.env)
    const say = (line: string): void => io.stderr(`${line}\n`)
    say('bundling the program')
    const bundle = join(work, 'app')
    const apps = { coffer: { entry: 'src/main.ts', warmUp: ['agent', '-help'] } }
    await bundleForImage({ root: join(import.meta.dirname, '../../..'), out: bundle, apps, tool })
    const busybox = flags.busybox === '' ? await findBusybox(work, tool, say) : resolve(io.cwd, flags.busybox)
    if (!existsSync(busybox)) throw new ImageError(`-busybox: ${busybox} does not exist`)
    say('gathering Node and its libraries')
    const files = await rootFiles({ node: process.execPath, busybox, bundle, tool, say })
    if (flags.rootfs === '') await writeArchive(target, reference, files, compress)
    else writeFolder(target, [...files.system, ...files.node, ...files.app])
    io.stdout(`${flags.rootfs === '' ? `${reference} written to ` : 'root file system written to '}${target}\n`)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

async function writeArchive(
  path: string,
  reference: string,
  { system, node, app }: RootFiles,
  compression: 'none' | 'gzip',
): Promise<void> {
  const config = {
    Entrypoint: entryPoint,
    Cmd: ['-help'],
    Env: ['HOME=/home/vault', 'PATH=/usr/local/bin:/bin'],
    User: '65532:65532',
    Labels: { 'org.opencontainers.image.title': 'coffer', 'org.opencontainers.image.version': cofferVersion },
  }
  await writeFileAtomically(path, imageArchive(reference, config, [system, node, app], compression), { mode: 0o644 })
}

function writeFolder(root: string, entries: readonly TarEntry[]): void {
  for (const entry of entries) {
    const path = join(root, entry.path)
    mkdirSync(dirname(path), { recursive: true })
    if (entry.kind === 'folder') mkdirSync(path, { recursive: true })
    else if (entry.kind === 'link') symlinkSync(entry.target, path)
    else writeFileSync(path, entry.data)
    if (entry.kind !== 'link') chmodSync(path, entry.mode)
  }
}
