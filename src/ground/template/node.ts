import { unreachable } from '#ground/base/assert.ts'
import { quote } from './quote.ts'

/** Where a node begins: an index into the template's text, UTF-16 units. */
type At = { readonly at: number }

/** A number as written, in each type that can hold it. @source Go text/template/parse/node.go NumberNode */
export type NumberNode = At & {
  readonly kind: 'number'
  readonly text: string
  readonly int: bigint | null
  readonly uint: bigint | null
  readonly float: number | null
  readonly complex: { readonly re: number; readonly im: number } | null
}
export type IdentifierNode = At & { readonly kind: 'identifier'; readonly name: string }
/** `$x.a.b`: the first name carries the dollar sign. */
export type VariableNode = At & { readonly kind: 'variable'; readonly names: readonly string[] }
export type FieldNode = At & { readonly kind: 'field'; readonly names: readonly string[] }
/** A term followed by fields: `(pipeline).a.b`. */
export type ChainNode = At & { readonly kind: 'chain'; readonly base: Operand; readonly names: readonly string[] }
export type StringNode = At & { readonly kind: 'string'; readonly quoted: string; readonly text: string }
export type BoolNode = At & { readonly kind: 'bool'; readonly value: boolean }
export type DotNode = At & { readonly kind: 'dot' }
export type NilNode = At & { readonly kind: 'nil' }
export type PipeNode = At & {
  readonly kind: 'pipe'
  readonly isAssign: boolean
  readonly variables: readonly VariableNode[]
  readonly commands: readonly CommandNode[]
}
export type CommandNode = At & { readonly kind: 'command'; readonly args: readonly Operand[] }

export type Operand =
  | NumberNode
  | IdentifierNode
  | VariableNode
  | FieldNode
  | ChainNode
  | StringNode
  | BoolNode
  | DotNode
  | NilNode
  | PipeNode

export type TextNode = At & { readonly kind: 'text'; readonly text: string }
export type ActionNode = At & { readonly kind: 'action'; readonly pipe: PipeNode }
export type BranchNode = At & {
  readonly kind: 'if' | 'with' | 'range'
  readonly pipe: PipeNode
  readonly body: ListNode
  readonly otherwise: ListNode | null
}
export type JumpNode = At & { readonly kind: 'break' | 'continue' }
export type TemplateNode = At & { readonly kind: 'template'; readonly name: string; readonly pipe: PipeNode | null }
export type ListNode = At & { readonly kind: 'list'; readonly nodes: readonly Statement[] }

export type Statement = TextNode | ActionNode | BranchNode | JumpNode | TemplateNode

export type Node = Operand | CommandNode | Statement | ListNode

/** A node as an error text shows it: the template's own words, evenly spaced. */
export function describeNode(node: Node): string {
  switch (node.kind) {
    case 'number':
      return node.text
    case 'identifier':
      return node.name
    case 'variable':
      return node.names.join('.')
    case 'field':
      return node.names.map(name => `.${name}`).join('')
    case 'chain':
      return `${operand(node.base)}${node.names.map(name => `.${name}`).join('')}`
    case 'string':
      return node.quoted
    case 'bool':
      return String(node.value)
    case 'dot':
      return '.'
    case 'nil':
      return 'nil'
    case 'pipe':
      return describePipe(node)
    case 'command':
      return node.args.map(operand).join(' ')
    case 'text':
      return quote(node.text)
    case 'action':
      return `{{${describePipe(node.pipe)}}}`
    case 'template':
      return `{{template ${quote(node.name)}${node.pipe ? ` ${describePipe(node.pipe)}` : ''}}}`
    case 'break':
    case 'continue':
      return `{{${node.kind}}}`
    case 'if':
    case 'with':
    case 'range':
      return `{{${node.kind} ${describePipe(node.pipe)}}}`
    case 'list':
      return node.nodes.map(describeNode).join('')
    default:
      return unreachable(node)
  }
}

function operand(node: Operand): string {
  return node.kind === 'pipe' ? `(${describePipe(node)})` : describeNode(node)
}

function describePipe(pipe: PipeNode): string {
  const names = pipe.variables.map(describeNode).join(', ')
  const declared = names === '' ? '' : `${names} ${pipe.isAssign ? '=' : ':='} `
  return declared + pipe.commands.map(describeNode).join(' | ')
}
