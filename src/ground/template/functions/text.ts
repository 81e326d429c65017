import { FunctionError } from '../errors.ts'
import { type FunctionTable, functionTable } from '../function.ts'
import { TemplateFunction } from '../value.ts'
import { encodingFunctions } from './encodings.ts'
import { numberFunctions } from './numbers.ts'
import { stringFunctions } from './strings.ts'

const executeTemplate = new TemplateFunction(
  'executeTemplate',
  ['string', '...interface {}'],
  'string',
  '`executeTemplate name [dot]`: the output of a template that the text defines.',
  (execution, [name, ...data]) => {
    if (data.length > 1) {
      throw new FunctionError(`executeTemplate: wrong number of arguments, expected 1 or 2, but got ${data.length + 1}`)
    }
    return execution.run(name as string, data[0] ?? undefined)
  },
)

/** What a function that the configuration denies does: fail when it is called. */
export function deniedFunction(name: string): TemplateFunction {
  return new TemplateFunction(name, ['...string'], 'string', 'Denied by the configuration.', () => {
    throw new FunctionError('function is disabled')
  })
}

/** consul-template's functions that need nothing but their arguments. */
export const textFunctions: FunctionTable = new Map([
  ...stringFunctions,
  ...numberFunctions,
  ...encodingFunctions,
  ...functionTable([executeTemplate]),
])
