import { TemplateParseError } from './errors.ts'
import { Lexer } from './lexer.ts'
import type {
  BranchNode,
  CommandNode,
  ListNode,
  Operand,
  PipeNode,
  Statement,
  TemplateNode,
  VariableNode,
} from './node.ts'
import { describeNode } from './node.ts'
import { NumberSyntaxError, parseNumber } from './number.ts'
import { QuoteSyntaxError, quote, unquote } from './quote.ts'
import { describeToken, type Token, type TokenKind } from './token.ts'

/** How deep parentheses and blocks may nest; Go allows 10,000 parentheses and any number of blocks. */
export const nestingMax = 500

/** Go's answer to a list that ended: `{{end}}`, or `{{else}}` with the keyword of `else if` and `else with` unread. */
type Stop = { readonly kind: 'end' | 'else'; readonly at: number }

type Shared = {
  readonly name: string
  readonly lexer: Lexer
  readonly isFunction: (name: string) => boolean
  readonly trees: Map<string, ListNode>
  depth: number
}

/**
 * Parses a template and the ones it defines. The result has an entry for each, the outermost under `name`.
 * @throws TemplateParseError
 * @source Go text/template/parse/parse.go
 */
export function parseTrees(
  name: string,
  text: string,
  delims: { readonly left: string; readonly right: string },
  isFunction: (name: string) => boolean,
): ReadonlyMap<string, ListNode> {
  const lexer = new Lexer(text, delims.left, delims.right, isFunction)
  const shared: Shared = { name, lexer, isFunction, trees: new Map(), depth: 0 }
  new TreeParser(shared, name).parseWhole()
  return shared.trees
}

function isEmptyTree(node: ListNode | Statement): boolean {
  if (node.kind === 'list') return node.nodes.every(isEmptyTree)
  return node.kind === 'text' && node.text.trim() === ''
}

const operandStarts: ReadonlySet<TokenKind> = new Set<TokenKind>([
  'bool',
  'charConstant',
  'complex',
  '.',
  'field',
  'identifier',
  'number',
  'nil',
  'rawString',
  'string',
  'variable',
  'leftParen',
])

class TreeParser {
  readonly #shared: Shared
  #name: string
  // Three tokens of look-ahead; the first is the last one read, whose line errors name.
  readonly #tokens: Token[] = []
  #peeked = 0
  #variables: string[] = ['$']
  #actionLine = 0
  #rangeDepth = 0

  constructor(shared: Shared, name: string) {
    this.#shared = shared
    this.#name = name
  }

  // Tokens

  #next(): Token {
    if (this.#peeked > 0) this.#peeked--
    else this.#tokens[0] = this.#shared.lexer.next()
    return this.#tokens[this.#peeked]!
  }

  #back(): void {
    this.#peeked++
  }

  #peek(): Token {
    if (this.#peeked === 0) {
      this.#peeked = 1
      this.#tokens[0] = this.#shared.lexer.next()
    }
    return this.#tokens[this.#peeked - 1]!
  }

  #nextNonSpace(): Token {
    for (;;) {
      const token = this.#next()
      if (token.kind !== 'space') return token
    }
  }

  #peekNonSpace(): Token {
    const token = this.#nextNonSpace()
    this.#back()
    return token
  }

  #fail(text: string): never {
    throw new TemplateParseError(`template: ${this.#shared.name}:${this.#tokens[0]?.line ?? 0}: ${text}`)
  }

  #expect(kinds: readonly TokenKind[], context: string): Token {
    const token = this.#nextNonSpace()
    if (!kinds.includes(token.kind)) this.#unexpected(token, context)
    return token
  }

  #unexpected(token: Token, context: string): never {
    if (token.kind !== 'error') this.#fail(`unexpected ${describeToken(token)} in ${context}`)
    let extra = ''
    if (this.#actionLine !== 0 && this.#actionLine !== token.line) {
      const words = token.text.endsWith(' action') ? '' : ' in action'
      extra = `${words} started at ${this.#shared.name}:${this.#actionLine}`
    }
    this.#fail(`${token.text}${extra}`)
  }

  #unquoted(token: Token): string {
    try {
      return unquote(token.text)
    } catch (error) {
      if (error instanceof QuoteSyntaxError) this.#fail(error.message)
      throw error
    }
  }

  #nested<T>(parse: () => T): T {
    if (this.#shared.depth >= nestingMax) this.#fail('max expression depth exceeded')
    this.#shared.depth++
    const result = parse()
    this.#shared.depth--
    return result
  }

  // Lists

  parseWhole(): void {
    const at = this.#peek().at
    const nodes: Statement[] = []
    while (this.#peek().kind !== 'eof') {
      if (this.#peek().kind === 'leftDelim') {
        const delim = this.#next()
        if (this.#nextNonSpace().kind === 'define') {
          new TreeParser(this.#shared, 'definition').#parseDefinition()
          continue
        }
        this.#tokens[1] = delim
        this.#peeked = 2
      }
      const node = this.#statement()
      if (isStop(node)) this.#fail(`unexpected ${describeStop(node)}`)
      nodes.push(node)
    }
    this.#add({ kind: 'list', at, nodes })
  }

  #add(tree: ListNode): void {
    const present = this.#shared.trees.get(this.#name)
    if (present === undefined || isEmptyTree(present)) this.#shared.trees.set(this.#name, tree)
    else if (!isEmptyTree(tree)) this.#fail(`template: multiple definition of template ${quote(this.#name)}`)
  }

  #parseDefinition(): void {
    const context = 'define clause'
    this.#name = this.#unquoted(this.#expect(['string', 'rawString'], context))
    this.#expect(['rightDelim'], context)
    this.#addUntilEnd(context)
  }

  #addUntilEnd(context: string): void {
    const { list, stop } = this.#list()
    if (stop.kind !== 'end') this.#fail(`unexpected ${describeStop(stop)} in ${context}`)
    this.#add(list)
  }

  #list(): { list: ListNode; stop: Stop } {
    const at = this.#peekNonSpace().at
    const nodes: Statement[] = []
    while (this.#peekNonSpace().kind !== 'eof') {
      const node = this.#statement()
      if (isStop(node)) return { list: { kind: 'list', at, nodes }, stop: node }
      nodes.push(node)
    }
    return this.#fail('unexpected EOF')
  }

  #statement(): Statement | Stop {
    const token = this.#nextNonSpace()
    if (token.kind === 'text') return { kind: 'text', at: token.at, text: token.text }
    if (token.kind !== 'leftDelim') this.#unexpected(token, 'input')
    this.#actionLine = token.line
    const node = this.#action()
    this.#actionLine = 0
    return node
  }

  #action(): Statement | Stop {
    const { kind, at } = this.#nextNonSpace()
    if (kind === 'block') return this.#block()
    if (kind === 'break' || kind === 'continue') return this.#jump(kind, at)
    if (kind === 'else') return this.#else()
    if (kind === 'end') return { kind, at: this.#expect(['rightDelim'], 'end').at }
    if (kind === 'if' || kind === 'range' || kind === 'with') return this.#branch(kind)
    if (kind === 'template') return this.#template()
    this.#back()
    const first = this.#peek()
    return { kind: 'action', at: first.at, pipe: this.#pipeline('command', 'rightDelim') }
  }

  #jump(kind: 'break' | 'continue', at: number): Statement {
    const token = this.#nextNonSpace()
    if (token.kind !== 'rightDelim') this.#unexpected(token, `{{${kind}}}`)
    if (this.#rangeDepth === 0) this.#fail(`{{${kind}}} outside {{range}}`)
    return { kind, at }
  }

  #else(): Stop {
    const peeked = this.#peekNonSpace()
    if (peeked.kind === 'if' || peeked.kind === 'with') return { kind: 'else', at: peeked.at }
    return { kind: 'else', at: this.#expect(['rightDelim'], 'else').at }
  }

  #branch(kind: BranchNode['kind']): BranchNode {
    return this.#nested(() => {
      const visible = this.#variables.length
      const pipe = this.#pipeline(kind, 'rightDelim')
      if (kind === 'range') this.#rangeDepth++
      const { list: body, stop } = this.#list()
      if (kind === 'range') this.#rangeDepth--
      const otherwise = stop.kind === 'else' ? this.#otherwise(kind, stop) : null
      this.#variables.length = visible
      return { kind, at: pipe.at, pipe, body, otherwise }
    })
  }

  // `{{else if a}}` is `{{else}}{{if a}}…{{end}}`, whose second end is left out.
  #otherwise(kind: BranchNode['kind'], stop: Stop): ListNode {
    if (kind !== 'range' && this.#peek().kind === kind) {
      this.#next()
      return { kind: 'list', at: stop.at, nodes: [this.#branch(kind)] }
    }
    const { list, stop: last } = this.#list()
    if (last.kind !== 'end') this.#fail(`expected end; found ${describeStop(last)}`)
    return list
  }

  #block(): TemplateNode {
    const context = 'block clause'
    const token = this.#nextNonSpace()
    const name = this.#templateName(token, context)
    const pipe = this.#pipeline(context, 'rightDelim')
    this.#nested(() => new TreeParser(this.#shared, name).#addUntilEnd(context))
    return { kind: 'template', at: token.at, name, pipe }
  }

  #template(): TemplateNode {
    const context = 'template clause'
    const token = this.#nextNonSpace()
    const name = this.#templateName(token, context)
    if (this.#nextNonSpace().kind === 'rightDelim') return { kind: 'template', at: token.at, name, pipe: null }
    this.#back()
    return { kind: 'template', at: token.at, name, pipe: this.#pipeline(context, 'rightDelim') }
  }

  #templateName(token: Token, context: string): string {
    if (token.kind !== 'string' && token.kind !== 'rawString') this.#unexpected(token, context)
    return this.#unquoted(token)
  }

  // Pipelines

  #pipeline(context: string, end: TokenKind): PipeNode {
    const { at } = this.#peekNonSpace()
    const { variables, isAssign } = this.#declarations(context)
    const commands: CommandNode[] = []
    for (;;) {
      const token = this.#nextNonSpace()
      if (token.kind === end) break
      if (!operandStarts.has(token.kind)) this.#unexpected(token, context)
      this.#back()
      commands.push(this.#command())
    }
    if (commands.length === 0) this.#fail(`missing value for ${context}`)
    for (const [i, command] of commands.entries()) {
      if (i > 0 && isLiteral(command.args[0]!)) this.#fail(`non executable command in pipeline stage ${i + 1}`)
    }
    return { kind: 'pipe', at, isAssign, variables, commands }
  }

  #declarations(context: string): { variables: VariableNode[]; isAssign: boolean } {
    const variables: VariableNode[] = []
    for (;;) {
      const variable = this.#peekNonSpace()
      if (variable.kind !== 'variable') return { variables, isAssign: false }
      this.#next()
      const following = this.#peek()
      const next = this.#peekNonSpace()
      const declare = (): void => {
        this.#nextNonSpace()
        variables.push(variableNode(variable.at, variable.text))
        this.#variables.push(variable.text)
      }
      if (next.kind === 'assign' || next.kind === 'declare') {
        declare()
        return { variables, isAssign: next.kind === 'assign' }
      }
      if (next.kind !== 'char' || next.text !== ',') {
        this.#pushBack(variable, following)
        return { variables, isAssign: false }
      }
      declare()
      if (context !== 'range' || variables.length >= 2) this.#fail(`too many declarations in ${context}`)
      const kind = this.#peekNonSpace().kind
      if (kind !== 'variable' && kind !== 'rightDelim' && kind !== 'rightParen') {
        this.#fail('range can only initialize variables')
      }
    }
  }

  // "$x foo" needs three tokens to know that $x is an argument and no declaration.
  #pushBack(variable: Token, following: Token): void {
    this.#tokens[1] = following.kind === 'space' ? following : variable
    if (following.kind === 'space') this.#tokens[2] = variable
    this.#peeked = following.kind === 'space' ? 3 : 2
  }

  #command(): CommandNode {
    const { at } = this.#peekNonSpace()
    const args: Operand[] = []
    for (;;) {
      this.#peekNonSpace()
      const operand = this.#operand()
      if (operand) args.push(operand)
      const token = this.#next()
      if (token.kind === 'space') continue
      if (token.kind === 'rightDelim' || token.kind === 'rightParen') this.#back()
      else if (token.kind !== 'pipe') this.#unexpected(token, 'operand')
      break
    }
    if (args.length === 0) this.#fail('empty command')
    return { kind: 'command', at, args }
  }

  #operand(): Operand | null {
    const node = this.#term()
    if (node === null || this.#peek().kind !== 'field') return node
    const { at } = this.#peek()
    const names: string[] = []
    while (this.#peek().kind === 'field') names.push(this.#next().text.slice(1))
    if (node.kind === 'field' || node.kind === 'variable') return { ...node, at, names: [...node.names, ...names] }
    if (isLiteral(node)) this.#fail(`unexpected . after term ${quote(describeNode(node))}`)
    return { kind: 'chain', at, base: node, names }
  }

  #term(): Operand | null {
    const token = this.#nextNonSpace()
    const { kind, at, text } = token
    if (kind === 'field') return { kind, at, names: [text.slice(1)] }
    if (kind === '.') return { kind: 'dot', at }
    if (kind === 'identifier') {
      if (!this.#shared.isFunction(text)) this.#fail(`function ${quote(text)} not defined`)
      return { kind, at, name: text }
    }
    if (kind === 'variable') {
      if (!this.#variables.includes(text)) this.#fail(`undefined variable ${quote(text)}`)
      return variableNode(at, text)
    }
    if (kind === 'string' || kind === 'rawString') {
      return { kind: 'string', at, quoted: text, text: this.#unquoted(token) }
    }
    if (kind === 'number' || kind === 'complex' || kind === 'charConstant') return this.#number(kind, at, text)
    if (kind === 'bool') return { kind, at, value: text === 'true' }
    if (kind === 'nil') return { kind, at }
    if (kind === 'leftParen') return this.#nested(() => this.#pipeline('parenthesized pipeline', 'rightParen'))
    this.#back()
    return null
  }

  #number(kind: 'charConstant' | 'complex' | 'number', at: number, text: string): Operand {
    try {
      return parseNumber(at, text, kind)
    } catch (error) {
      if (error instanceof NumberSyntaxError) this.#fail(error.message)
      throw error
    }
  }
}

// What can't be called nor have fields.
function isLiteral(node: Operand): boolean {
  return /^(?:bool|dot|nil|number|string)$/.test(node.kind)
}

function variableNode(at: number, text: string): VariableNode {
  return { kind: 'variable', at, names: [text] }
}

function isStop(node: Statement | Stop): node is Stop {
  return node.kind === 'end' || node.kind === 'else'
}

function describeStop(stop: Stop): string {
  return `{{${stop.kind}}}`
}
