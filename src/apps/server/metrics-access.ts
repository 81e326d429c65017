import type { HttpHandler, HttpRequest, HttpResponse } from '#ground/http/message.ts'
import type { Telemetry } from '#core/node/telemetry.ts'
import { type MetricsAccess, metricsPath } from './listener-config.ts'
import { RequestView } from './request-view.ts'

const noSuchPage: HttpResponse = {
  status: 404,
  headers: [['Content-Type', 'application/json']],
  body: '{"errors":[]}\n',
}

/**
 * What a listener says of metrics: open ones need no token, aren't audited, and are there while the server is sealed.
 * @source openbao http/sys_metrics.go, http/metrics.go
 */
export function withMetrics(handler: HttpHandler, telemetry: Telemetry, access: MetricsAccess): HttpHandler {
  if (!access.isOpen && !access.isAll && access.path !== null) return handler
  return request => {
    // The path itself, in another spelling too: what is kept away here can't be had by a detour.
    const isIt = plainPath(request.path) === (access.path ?? metricsPath)
    if (isIt && access.path === null) return noSuchPage
    if (!isIt) return access.isAll ? noSuchPage : handler(request)
    if (access.isOpen) return open(request, telemetry)
    return handler(access.path === metricsPath ? request : new RequestView(request, { path: metricsPath }))
  }
}

function open(request: HttpRequest, telemetry: Telemetry): HttpResponse {
  if (request.method !== 'GET') return { ...noSuchPage, status: 405 }
  const format = new URLSearchParams(request.query).get('format') ?? ''
  const { status, contentType, body } = telemetry.answer(format, request.headers.all('accept'))
  const headers = [
    ['Content-Type', contentType],
    ['Cache-Control', 'no-store'],
  ] as const
  return { status, headers, body }
}

function plainPath(path: string): string {
  try {
    return decodeURIComponent(path)
      .replace(/\/+/g, '/')
      .replace(/(.)\/$/, '$1')
  } catch {
    return path
  }
}
