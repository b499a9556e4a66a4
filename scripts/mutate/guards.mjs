/**
 * Finds the guards of a source file, and what the file is without each of them. A guard is
 * - an `if` whose branch leaves: it throws, or returns what is no yes (each operand of a condition with `||` is a guard of its own);
 * - a conditional expression with a refusal on one side and nothing on the other;
 * - one link of a chain of refusals joined by `??`;
 * - a `throw` that stands alone at the end of a function which may leave before it;
 * - a call, as a statement, of a function of the file that throws, or of one that is named as a check.
 * Found by the compiler's own tree, so that a new file needs no list.
 */
import ts from 'typescript'

/** @typedef {{ line: number, was: string, start: number, end: number, put: string }} Guard */

/** Functions of other files that are called to refuse. */
const CHECKS = /^(checkSignature|checkArgs|demand\w*|assert\w*)$/

/** @param {string} name @param {string} source @returns {Guard[]} in the order of the file. */
export function guardsIn(name, source) {
  const file = ts.createSourceFile(name, source, ts.ScriptTarget.ES2022, true)
  const throwing = throwersOf(file)
  const found = []
  const add = (node, put) => {
    const start = node.getStart(file)
    const was = source.slice(start, node.end).replace(/\s+/g, ' ')
    found.push({ line: file.getLineAndCharacterOfPosition(start).line + 1, was, start, end: node.end, put })
  }
  const visit = (node) => {
    if (ts.isIfStatement(node)) conditions(node, add)
    else if (ts.isConditionalExpression(node)) conditional(node, add)
    else if (ts.isReturnStatement(node)) returned(node, add)
    else if (isBareGuard(node, throwing)) add(node, ';')
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found.sort((a, b) => a.start - b.start)
}

/** Each part of a condition behind which somebody is turned away. */
function conditions({ expression, thenStatement, elseStatement }, add) {
  if (elseStatement === undefined && leaves(thenStatement)) for (const part of disjuncts(expression)) add(part, 'false')
}

function returned({ expression }, add) {
  if (expression !== undefined) links(expression, add)
}

function isBareGuard(node, throwing) {
  if (ts.isThrowStatement(node)) return isLastWord(node)
  return ts.isExpressionStatement(node) && isCheck(node.expression, throwing)
}

/** @param {string} source @param {Guard} guard */
export function without(source, { start, end, put }) {
  return source.slice(0, start) + put + source.slice(end)
}

function throwersOf(file) {
  const names = new Set()
  const visit = (node) => {
    if ((ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node)) && node.name !== undefined && node.body !== undefined && throwsAnywhere(node.body))
      names.add(node.name.text)
    ts.forEachChild(node, visit)
  }
  visit(file)
  return names
}

function throwsAnywhere(node) {
  let found = false
  const visit = (inner) => {
    if (ts.isThrowStatement(inner)) found = true
    else if (!ts.isFunctionLike(inner)) ts.forEachChild(inner, visit)
  }
  visit(node)
  return found
}

/** Ends by throwing, or by returning something that is no yes. */
function leaves(statement) {
  const last = ts.isBlock(statement) ? statement.statements.at(-1) : statement
  if (last === undefined) return false
  if (ts.isThrowStatement(last)) return true
  if (ts.isExpressionStatement(last) && ts.isCallExpression(bare(last.expression)) && calledName(bare(last.expression)) === 'abort') return true
  return ts.isReturnStatement(last) && last.expression !== undefined && isNo(last.expression)
}

/** `if (fine) return` … `throw`: what stands for the refusal of all that was not fine. */
function isLastWord(node) {
  const block = node.parent
  if (!ts.isBlock(block) || !ts.isFunctionLike(block.parent) || block.statements.at(-1) !== node) return false
  return block.statements.some((one) => ts.isIfStatement(one) && /^\{?\s*return\b/.test(one.thenStatement.getText()))
}

function isNo(expression) {
  const node = bare(expression)
  if (node.kind === ts.SyntaxKind.FalseKeyword) return true
  if (ts.isStringLiteral(node)) return /^(refused|reject|ignore|false|unresolved|exhausted|known|full|BAD|NOT)/.test(node.text)
  if (ts.isObjectLiteralExpression(node))
    return node.properties.some((one) => ts.isPropertyAssignment(one) && ['code', 'why', 'reason'].includes(one.name.getText()))
  if (ts.isCallExpression(node)) return /^(refuse|refused|denied|deny|no|bad|dead|cannot|fault|wrong|abort)/i.test(calledName(node))
  return ts.isNewExpression(node) && /Error|Refus|Denied/.test(node.expression.getText())
}

function bare(node) {
  return ts.isParenthesizedExpression(node) || ts.isAwaitExpression(node) || ts.isAsExpression(node) || ts.isSatisfiesExpression(node)
    ? bare(node.expression)
    : node
}

function calledName(call) {
  const { expression } = call
  return ts.isPropertyAccessExpression(expression) ? expression.name.text.replace(/^#/, '') : expression.getText()
}

function disjuncts(expression) {
  const node = bare(expression)
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.BarBarToken) return [...disjuncts(node.left), ...disjuncts(node.right)]
  return [expression]
}

function conditional(node, add) {
  const isNothing = (side) => bare(side).kind === ts.SyntaxKind.Identifier && bare(side).text === 'undefined'
  if (isNothing(node.whenTrue) && isNo(node.whenFalse)) for (const part of conjuncts(node.condition)) add(part, 'true')
  if (isNothing(node.whenFalse) && isNo(node.whenTrue)) for (const part of disjuncts(node.condition)) add(part, 'false')
}

function conjuncts(expression) {
  const node = bare(expression)
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.AmpersandAmpersandToken)
    return [...conjuncts(node.left), ...conjuncts(node.right)]
  return [expression]
}

/** `return refuseA() ?? refuseB()`: each of them, when there are several. */
function links(expression, add) {
  const parts = []
  const collect = (one) => {
    const node = bare(one)
    if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.QuestionQuestionToken) [node.left, node.right].forEach(collect)
    else parts.push(one)
  }
  collect(expression)
  const refusing = parts.filter((part) => ts.isCallExpression(bare(part)) && /^(refuse|firstOf|deny|judge)/.test(calledName(bare(part))))
  if (parts.length > 1) for (const part of refusing) add(part, 'undefined')
}

function isCheck(expression, throwing) {
  const node = bare(expression)
  if (!ts.isCallExpression(node)) return false
  const name = calledName(node)
  return CHECKS.test(name) || (isOfThisFile(node) && (throwing.has(name) || throwing.has(`#${name}`)))
}

/** `check()` and `this.#check()`; what another object does under the same name is its own. */
function isOfThisFile({ expression }) {
  return !ts.isPropertyAccessExpression(expression) || expression.expression.kind === ts.SyntaxKind.ThisKeyword
}
