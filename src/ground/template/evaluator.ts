import { unreachable } from '#ground/base/assert.ts'
import { byteLength } from './bytes.ts'
import { type Cell, canBeNil, constantAs, type Fail, fitted, nothing, roundsOf } from './cell.ts'
import { FunctionError, redacted, TemplateError, TemplateExecError } from './errors.ts'
import { print } from './fmt.ts'
import type { FunctionTable } from './function.ts'
import type { Limits } from './limits.ts'
import { jsonNumberMethods } from './methods.ts'
import {
  type BranchNode,
  type CommandNode,
  describeNode,
  type ListNode,
  type Node,
  type Operand,
  type PipeNode,
  type Statement,
  type TemplateNode,
} from './node.ts'
import { quote } from './quote.ts'
import {
  anyType,
  type Execution,
  isMap,
  isTrue,
  JsonNumber,
  Struct,
  TemplateFunction,
  TypedMap,
  typeName,
  type Value,
  zeroOf,
} from './value.ts'

/** What a name that a map doesn't have gives: nothing, the zero of the map's type, an error. */
export type MissingKey = 'default' | 'zero' | 'error'

/** What an execution works on. */
export type Program = {
  readonly name: string
  readonly text: string
  readonly trees: ReadonlyMap<string, ListNode>
  readonly builtins: FunctionTable
  readonly functions: FunctionTable
}

type Variable = { readonly name: string; cell: Cell }

/** No value was piped into the command. */
const absent = Symbol('absent')
type Final = Value | typeof absent

type Jump = 'none' | 'break' | 'continue'

/** What the templates of one execution share. */
type Shared = { steps: number; depth: number; bytes: number; out: string }

/**
 * Executes one template; a `template` action makes another evaluator with no variables but `$`.
 * @source Go text/template/exec.go
 */
export class Evaluator implements Execution {
  readonly #program: Program
  readonly #name: string
  readonly #missingKey: MissingKey
  readonly #limits: Limits
  readonly #shared: Shared
  readonly #variables: Variable[] = []
  #node: Node | null = null

  constructor(program: Program, name: string, missingKey: MissingKey, limits: Limits, shared?: Shared) {
    this.#program = program
    this.#name = name
    this.#missingKey = missingKey
    this.#limits = limits
    this.#shared = shared ?? { steps: 0, depth: 0, bytes: 0, out: '' }
  }

  /** @throws TemplateExecError, and whatever a function throws that is no `FunctionError`. */
  execute(data: Value): string {
    const tree = this.#program.trees.get(this.#name)
    if (!tree) this.#fail(`${quote(this.#name)} is an incomplete or empty template`)
    this.#walkTree(tree, { value: data, isBoxed: false })
    return this.#shared.out
  }

  has(name: string): boolean {
    return this.#program.trees.has(name)
  }

  run(name: string, dot: Value): string {
    const tree = this.#program.trees.get(name)
    if (!tree) {
      throw new FunctionError(`template: no template ${redacted} associated with template ${quote(this.#name)}`)
    }
    const shared = this.#shared
    const before = shared.out
    shared.out = ''
    try {
      this.#call(name, tree, { value: dot, isBoxed: false })
    } catch (error) {
      if (error instanceof TemplateError) throw new FunctionError(error.message)
      throw error
    }
    const made = shared.out
    shared.out = before
    return made
  }

  #walkTree(tree: ListNode, dot: Cell): void {
    this.#variables.push({ name: '$', cell: dot })
    this.#walkList(tree, dot)
  }

  #call(name: string, tree: ListNode, dot: Cell): void {
    const shared = this.#shared
    if (shared.depth >= this.#limits.depthMax) {
      this.#fail(`exceeded maximum template depth (${this.#limits.depthMax})`)
    }
    shared.depth++
    new Evaluator(this.#program, name, this.#missingKey, this.#limits, shared).#walkTree(tree, dot)
    shared.depth--
  }

  readonly #stop: Fail = text => this.#fail(text)

  #fail(text: string): never {
    const { name, text: source } = this.#program
    if (!this.#node) throw new TemplateExecError(`template: ${this.#name}: ${text}`)
    const before = source.slice(0, this.#node.at)
    const newline = before.lastIndexOf('\n')
    const line = before.split('\n').length
    const column = byteLength(before.slice(newline + 1))
    const context = describeNode(this.#node)
    throw new TemplateExecError(
      `template: ${name}:${line}:${column}: executing ${quote(this.#name)} at <${context}>: ${text}`,
    )
  }

  #step(): void {
    if (++this.#shared.steps > this.#limits.stepsMax) this.#fail(`exceeded ${this.#limits.stepsMax} steps`)
  }

  #write(text: string): void {
    const shared = this.#shared
    shared.bytes += byteLength(text)
    if (shared.bytes > this.#limits.outputBytesMax) {
      this.#fail(`output exceeds ${this.#limits.outputBytesMax} bytes`)
    }
    shared.out += text
  }

  // Statements

  #walkList(list: ListNode, dot: Cell): Jump {
    for (const node of list.nodes) {
      const jump = this.#walk(node, dot)
      if (jump !== 'none') return jump
    }
    return 'none'
  }

  #walk(node: Statement, dot: Cell): Jump {
    this.#node = node
    this.#step()
    switch (node.kind) {
      case 'text':
        this.#write(node.text)
        return 'none'
      case 'action': {
        const value = this.#pipeline(dot, node.pipe)
        if (node.pipe.variables.length === 0) this.#print(node, value)
        return 'none'
      }
      case 'if':
      case 'with':
        return this.#walkBranch(node, dot)
      case 'range':
        return this.#walkRange(node, dot)
      case 'template':
        this.#walkTemplate(node, dot)
        return 'none'
      case 'break':
      case 'continue':
        return node.kind
      default:
        return unreachable(node)
    }
  }

  #print(node: Node, value: Value): void {
    if (typeof value === 'string') this.#write(value)
    else if (value === undefined) this.#write('<no value>')
    else {
      this.#node = node
      if (value instanceof TemplateFunction) this.#fail(`can't print ${describeNode(node)} of type ${value.type}`)
      const shown = value instanceof Struct && value.isPointer && !value.isNil ? dereferenced(value) : value
      this.#write(print([shown]))
    }
  }

  #walkBranch(node: BranchNode, dot: Cell): Jump {
    const mark = this.#variables.length
    const value = this.#pipeline(dot, node.pipe)
    let jump: Jump = 'none'
    if (isTrue(value)) jump = this.#walkList(node.body, node.kind === 'with' ? { value, isBoxed: false } : dot)
    else if (node.otherwise) jump = this.#walkList(node.otherwise, dot)
    this.#variables.length = mark
    return jump
  }

  #walkRange(node: BranchNode, dot: Cell): Jump {
    const mark = this.#variables.length
    const value = this.#pipeline(dot, node.pipe)
    const rounds = roundsOf(value, node.pipe.variables.length > 1, this.#stop)
    let jump: Jump = 'none'
    let count = 0
    const top = this.#variables.length
    for (const [key, item] of rounds) {
      if (++count > this.#limits.rangeMax) this.#fail(`range over more than ${this.#limits.rangeMax} items`)
      this.#bindRound(node.pipe, key, item)
      const ended = this.#walkList(node.body, item)
      this.#variables.length = top
      if (ended === 'break') break
    }
    if (count === 0 && node.otherwise) jump = this.#walkList(node.otherwise, dot)
    this.#variables.length = mark
    return jump
  }

  #bindRound(pipe: PipeNode, key: Cell, item: Cell): void {
    const [first, second] = pipe.variables
    if (!first) return
    if (pipe.isAssign) {
      if (second) this.#assign(first.names[0]!, key)
      else this.#assign(first.names[0]!, item)
      if (second) this.#assign(second.names[0]!, item)
      return
    }
    const top = this.#variables.length
    this.#variables[top - 1]!.cell = item
    if (second) this.#variables[top - 2]!.cell = key
  }

  #walkTemplate(node: TemplateNode, dot: Cell): void {
    const tree = this.#program.trees.get(node.name)
    if (!tree) this.#fail(`template ${quote(node.name)} not defined`)
    if (this.#shared.depth >= this.#limits.depthMax) {
      this.#fail(`exceeded maximum template depth (${this.#limits.depthMax})`)
    }
    const value = node.pipe ? this.#pipeline(dot, node.pipe) : undefined
    this.#call(node.name, tree, { value, isBoxed: false })
  }

  // Pipelines

  #assign(name: string, cell: Cell): void {
    for (let i = this.#variables.length - 1; i >= 0; i--) {
      const variable = this.#variables[i]!
      if (variable.name !== name) continue
      variable.cell = cell
      return
    }
    this.#fail(`undefined variable: ${name}`)
  }

  #variable(name: string): Cell {
    for (let i = this.#variables.length - 1; i >= 0; i--) {
      if (this.#variables[i]!.name === name) return this.#variables[i]!.cell
    }
    return this.#fail(`undefined variable: ${name}`)
  }

  #pipeline(dot: Cell, pipe: PipeNode): Value {
    this.#node = pipe
    let value: Final = absent
    for (const command of pipe.commands) {
      this.#step()
      value = this.#command(dot, command, value).value ?? undefined
    }
    if (value === absent) value = undefined
    for (const variable of pipe.variables) {
      const cell = { value, isBoxed: false }
      if (pipe.isAssign) this.#assign(variable.names[0]!, cell)
      else this.#variables.push({ name: variable.names[0]!, cell })
    }
    return value
  }

  #notAFunction(args: readonly Operand[] | null, final: Final): void {
    if (args && (args.length > 1 || final !== absent)) {
      this.#fail(`can't give argument to non-function ${describeNode(args[0]!)}`)
    }
    if (!args && final !== absent) this.#fail("can't give argument to non-function")
  }

  #command(dot: Cell, command: CommandNode, final: Final): Cell {
    const first = command.args[0]!
    if (first.kind === 'field' || first.kind === 'chain' || first.kind === 'variable') {
      return this.#path(dot, first, command.args, final)
    }
    if (first.kind === 'identifier') return this.#function(dot, first.name, first, command, command.args, final)
    if (first.kind === 'pipe') {
      this.#notAFunction(command.args, final)
      return { value: this.#pipeline(dot, first), isBoxed: false }
    }
    this.#node = first
    this.#notAFunction(command.args, final)
    if (first.kind === 'dot') return dot
    if (first.kind === 'nil') this.#fail('nil is not a command')
    return { value: constantAs(first, anyType, this.#stop), isBoxed: false }
  }

  // Names

  #path(
    dot: Cell,
    node: Extract<Operand, { kind: 'field' | 'chain' | 'variable' }>,
    args: readonly Operand[] | null,
    final: Final,
  ): Cell {
    this.#node = node
    let receiver = dot
    let names = node.names
    if (node.kind === 'chain') {
      if (node.base.kind === 'nil') this.#fail(`indirection through explicit nil in ${describeNode(node)}`)
      receiver = this.#argumentCell(dot, node.base) ?? nothing
    } else if (node.kind === 'variable') {
      receiver = this.#variable(names[0]!)
      if (names.length === 1) {
        this.#notAFunction(args, final)
        return receiver
      }
      names = names.slice(1)
    }
    const last = names.length - 1
    for (let i = 0; i < last; i++) receiver = this.#field(dot, names[i]!, node, null, absent, receiver)
    return this.#field(dot, names[last]!, node, args, final, receiver)
  }

  #field(dot: Cell, name: string, node: Node, args: readonly Operand[] | null, final: Final, from: Cell): Cell {
    const receiver = from.value
    if (receiver === undefined) {
      if (this.#missingKey === 'error') this.#fail(`nil data; no entry for key ${quote(name)}`)
      return nothing
    }
    const type = from.isBoxed ? anyType : typeName(receiver)
    if (receiver === null) this.#fail(`nil pointer evaluating ${type}.${name}`)
    const hasArgs = (args !== null && args.length > 1) || final !== absent
    if (receiver instanceof Struct || receiver instanceof JsonNumber) {
      const method = receiver instanceof Struct ? receiver.methods.get(name) : jsonNumberMethods(receiver).get(name)
      if (method) return this.#invoke(dot, method, false, node, name, args, final)
    }
    if (receiver instanceof Struct) {
      if (receiver.fields.has(name)) {
        if (receiver.isNil) this.#fail(`nil pointer evaluating ${type}.${name}`)
        if (hasArgs) this.#fail(`${name} has arguments but cannot be invoked as function`)
        const value = receiver.fields.get(name)
        return { value, isBoxed: value === null }
      }
    } else if (isMap(receiver) || (receiver instanceof TypedMap && /^(string|interface \{\})$/.test(receiver.key))) {
      if (hasArgs) this.#fail(`${name} is not a method but has arguments`)
      return this.#entry(receiver, name)
    }
    return this.#fail(`can't evaluate field ${name} in type ${type}`)
  }

  #entry(map: ReadonlyMap<string, Value> | TypedMap, name: string): Cell {
    const entries: ReadonlyMap<Value, Value> = map instanceof TypedMap ? map.entries : map
    const element = map instanceof TypedMap ? map.element : anyType
    const found = entries.get(name)
    if (found !== undefined || entries.has(name)) return { value: found ?? null, isBoxed: element === anyType }
    if (this.#missingKey === 'error') this.#fail(`map has no entry for key ${quote(name)}`)
    return this.#missingKey === 'zero' ? { value: zeroOf(element), isBoxed: element === anyType } : nothing
  }

  // Calls

  #function(dot: Cell, name: string, at: Node, node: Node, args: readonly Operand[] | null, final: Final): Cell {
    this.#node = at
    const own = this.#program.functions.get(name)
    const called = own ?? this.#program.builtins.get(name)
    if (!called) this.#fail(`${quote(name)} is not a defined function`)
    return this.#invoke(dot, called, own === undefined, node, name, args, final)
  }

  #invoke(
    dot: Cell,
    called: TemplateFunction,
    isBuiltin: boolean,
    node: Node,
    name: string,
    given: readonly Operand[] | null,
    final: Final,
  ): Cell {
    const args = given ? given.slice(1) : []
    const { parameters } = called
    const count = args.length + (final === absent ? 0 : 1)
    const isVariadic = parameters.at(-1)?.startsWith('...') ?? false
    if (isVariadic && count < parameters.length - 1) {
      this.#fail(`wrong number of args for ${name}: want at least ${parameters.length - 1} got ${args.length}`)
    }
    if (!isVariadic && count !== parameters.length) {
      this.#fail(`wrong number of args for ${name}: want ${parameters.length} got ${count}`)
    }
    if (isBuiltin && (name === 'and' || name === 'or')) return this.#decide(dot, name === 'or', args, final)
    const typeAt = (i: number): string =>
      isVariadic && i >= parameters.length - 1 ? parameters.at(-1)!.slice(3) : parameters[i]!
    const values = args.map((arg, i) => this.#argument(dot, typeAt(i), arg))
    if (final !== absent) values.push(fitted(final, typeAt(args.length), this.#stop))
    const callee = isBuiltin && name === 'call' ? calleeName(args[0], values[0]) : null
    try {
      const value = called.call(this, callee === null ? values : [callee, ...values])
      return { value, isBoxed: called.result === anyType || value === null }
    } catch (error) {
      if (!(error instanceof FunctionError)) throw error
      this.#node = node
      return this.#fail(`error calling ${name}: ${error.message}`)
    }
  }

  /** `and` and `or` evaluate no argument after the one that decides. */
  #decide(dot: Cell, wanted: boolean, args: readonly Operand[], final: Final): Cell {
    let value: Value
    for (const arg of args) {
      value = this.#argument(dot, 'reflect.Value', arg)
      if (isTrue(value) === wanted) return { value, isBoxed: false }
    }
    return { value: final === absent ? value : final, isBoxed: false }
  }

  /** An argument that isn't a constant, null for one that is. */
  #argumentCell(dot: Cell, node: Operand): Cell | null {
    this.#node = node
    if (node.kind === 'dot') return dot
    if (node.kind === 'field') return this.#path(dot, node, [node], absent)
    if (node.kind === 'variable' || node.kind === 'chain') return this.#path(dot, node, null, absent)
    if (node.kind === 'pipe') return { value: this.#pipeline(dot, node), isBoxed: false }
    if (node.kind === 'identifier') return this.#function(dot, node.name, node, node, null, absent)
    return null
  }

  #argument(dot: Cell, type: string, node: Operand): Value {
    if (node.kind === 'nil') {
      this.#node = node
      if (!canBeNil(type)) this.#fail(`cannot assign nil to ${type}`)
      return type === 'reflect.Value' ? undefined : zeroOf(type)
    }
    const cell = this.#argumentCell(dot, node)
    return cell ? fitted(cell.value, type, this.#stop) : constantAs(node, type, this.#stop)
  }
}

/** What `call` calls its callee in errors: its words in the template, or what was piped in. */
function calleeName(node: Operand | undefined, piped: Value): string {
  if (node) return describeNode(node)
  return typeof piped === 'string' ? redacted : `<${typeName(piped)} Value>`
}

function dereferenced(value: Struct): Struct {
  return new Struct(value.typeName, value.fields, { isPointer: false, methods: value.methods })
}
