import type { HttpHandler, HttpRequest, HttpResponse, Peer } from '#ground/http/message.ts'
import { cidrContains, parseIp } from '#ground/text/cidr.ts'
import type { ForwardedFor } from './listener-config.ts'
import { RequestView } from './request-view.ts'

/**
 * Serves requests as from the client that a trusted proxy names in X-Forwarded-For: what bound CIDRs, audit and rate
 * limits then see. What can't be believed is refused, unless told otherwise.
 * @source openbao http/forwarded_for_handler.go WrapForwardedForHandler: the order of the checks and their texts
 */
export function withForwardedFor(handler: HttpHandler, settings: ForwardedFor): HttpHandler {
  return request => {
    const peer = peerOf(request, settings)
    if ('status' in peer) return peer
    return handler(peer === request.peer ? request : new RequestView(request, { peer }))
  }
}

function peerOf(request: HttpRequest, settings: ForwardedFor): Peer | HttpResponse {
  const { peer } = request
  const lines = request.headers.all('x-forwarded-for')
  if (lines.length === 0) {
    if (!settings.rejectsNotPresent) return peer
    return refusal('missing x-forwarded-for header and configured to reject when not present')
  }
  if (!settings.authorized.some(cidr => cidrContains(cidr, peer.address))) {
    if (!settings.rejectsNotAuthorized) return peer
    return refusal('client address not authorized for x-forwarded-for and configured to reject connection')
  }
  const chain = lines.flatMap(line => line.split(',')).map(one => one.trim())
  const at = chain.length - 1 - settings.hopSkips
  if (at < 0) {
    return refusal(
      `malformed x-forwarded-for configuration or request, hops to skip (${settings.hopSkips}) would skip before earliest chain link (chain length ${chain.length})`,
    )
  }
  const address = chain[at]!
  if (parseIp(address) === null) return refusal('malformed x-forwarded-for header: a link of the chain is no address')
  return { ...peer, address }
}

const refusal = (text: string): HttpResponse => ({
  status: 400,
  headers: [
    ['Cache-Control', 'no-store'],
    ['Content-Type', 'application/json'],
  ],
  body: `${JSON.stringify({ errors: [text] })}\n`,
})
