import type { HttpHandler, HttpRequest } from '#ground/http/message.ts'
import { Fault, fault } from '#protocol/fault.ts'
import { faultResponse } from './answer.ts'
import type { PipelineOptions } from './deps.ts'
import { Exchange } from './exchange.ts'
import { isApiPath, readTarget, type Target } from './target.ts'

/** Everything between the HTTP front and the engines. */
export function createPipeline(options: PipelineOptions): HttpHandler {
  return (request: HttpRequest) => {
    if (!isApiPath(request.path)) {
      const page = options.settings.pages(request)
      return page ?? faultResponse(options.world.entropy.uuid(), fault('entry.missing', 'no such page'))
    }
    const id = options.world.entropy.uuid()
    let target: Target
    try {
      target = readTarget(request)
    } catch (error) {
      if (error instanceof Fault) return faultResponse(id, error)
      throw error
    }
    return new Exchange(options, options.house(), request, target, id).run()
  }
}

/** Let everything pass: where none are configured. */
export const noRateLimits: PipelineOptions['rateLimits'] = { beforeBody: () => null }
