/**
 * Passes TCP connections between network namespaces: `relay.ts LISTEN CONNECT`, each `fd:N`, `tcp:HOST:PORT` or
 * `unix:PATH`. A socket belongs to the namespace in which it was made, so a descriptor that was inherited listens
 * outside while this process connects inside; a unix socket belongs to none.
 */
import { connect, createServer, type NetConnectOpts } from 'node:net'
import { pipeline } from 'node:stream'

const [listenOn = '', connectTo = ''] = process.argv.slice(2)

function address(text: string): { fd: number } | { host: string; port: number } | { path: string } {
  const [kind, ...rest] = text.split(':')
  if (kind === 'fd') return { fd: Number(rest[0]) }
  if (kind === 'unix') return { path: rest.join(':') }
  return { host: rest.slice(0, -1).join(':'), port: Number(rest.at(-1)) }
}

const server = createServer({ allowHalfOpen: true, noDelay: true }, client => {
  const target = connect({ ...(address(connectTo) as NetConnectOpts), allowHalfOpen: true, noDelay: true })
  const ignore = (): void => undefined
  // Each way ends by itself; an error of either destroys both.
  pipeline(client, target, ignore)
  pipeline(target, client, ignore)
})
server.listen(address(listenOn), () => console.log('listening'))
