/**
 * Makes the declarations (`.d.ts`) of what programs import from errand: one file an entry, which needs nothing installed beside errand itself.
 * A type that is inferred from a schema is written out, so that a reader sees fields and not the library that checks them.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rollup } from 'rollup'
import { dts } from 'rollup-plugin-dts'
import ts from 'typescript'
import { SetupFailed } from './program.mjs'

/** An entry exports types by `export type`; a schema that it exported as a value would not be found. */
const DECLARED = [
  { name: 'index', entry: 'src/node/public.ts' },
  { name: 'client', entry: 'src/local/client.ts' },
]

/**
 * @returns the files, by their names in dist.
 * @throws SetupFailed for a type that cannot be declared, or one that comes from a package.
 */
export async function declarations(root, entries = DECLARED) {
  const out = mkdtempSync(join(tmpdir(), 'errand-declarations-'))
  try {
    emit(root, { entries, out })
    return await Promise.all(entries.map((one) => bundle(out, one)))
  } finally {
    rmSync(out, { recursive: true })
  }
}

function emit(root, { entries, out }) {
  const { config, error } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  if (error !== undefined) throw new SetupFailed(said([error]))
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const own = { noEmit: false, declaration: true, emitDeclarationOnly: true, outDir: out, rootDir: root }
  const program = ts.createProgram(
    entries.map(({ entry }) => join(root, entry)),
    { ...options, ...own },
  )
  const { diagnostics } = program.emit(undefined, undefined, undefined, true, { afterDeclarations: [writtenOut(program.getTypeChecker())] })
  if (diagnostics.length > 0) throw new SetupFailed(`types that cannot be declared:\n${said(diagnostics)}`)
}

function said(diagnostics) {
  return ts.formatDiagnostics(diagnostics, { getCanonicalFileName: (name) => name, getCurrentDirectory: () => '', getNewLine: () => '\n' })
}

/** A schema and the type inferred from it share one name: the type is written out, and the schema goes. */
function writtenOut(checker) {
  return (context) => (file) => {
    const inferred = new Set(file.statements.filter(isInferred).map(({ name }) => name.text))
    const isSchema = (node) => ts.isVariableStatement(node) && node.declarationList.declarations.some(({ name }) => inferred.has(name.getText?.() ?? name.text))
    const visit = (node) => {
      if (isSchema(node)) return undefined
      return ts.isTypeAliasDeclaration(node) && inferred.has(node.name.text) ? plain(node, checker) : node
    }
    return ts.visitEachChild(file, visit, context)
  }
}

function isInferred(node) {
  return ts.isTypeAliasDeclaration(node) && ts.isTypeReferenceNode(node.type) && /(^|\.)Infer(Output|Input)$/.test(entityOf(node.type.typeName))
}

function entityOf(name) {
  return ts.isIdentifier(name) ? name.text : `${entityOf(name.left)}.${name.right.text}`
}

const FLAGS = ts.NodeBuilderFlags.NoTruncation | ts.NodeBuilderFlags.InTypeAlias | ts.NodeBuilderFlags.MultilineObjectLiterals

function plain(node, checker) {
  const type = checker.getTypeAtLocation(ts.getOriginalNode(node).name)
  const written = checker.typeToTypeNode(type, ts.getOriginalNode(node), FLAGS)
  if (ts.isTypeLiteralNode(written)) for (const member of written.members) copyDoc(member, type, checker)
  return ts.factory.updateTypeAliasDeclaration(node, node.modifiers, node.name, node.typeParameters, written)
}

/** What the schema says of a field stays with it. */
function copyDoc(member, type, checker) {
  const field = member.name === undefined ? undefined : type.getProperty(member.name.text)
  const doc = field === undefined ? '' : ts.displayPartsToString(field.getDocumentationComment(checker))
  if (doc === '') return
  ts.setCommentRange(member, { pos: -1, end: -1 }) // where TypeScript remembers the comment itself, it would stand there twice
  ts.addSyntheticLeadingComment(member, ts.SyntaxKind.MultiLineCommentTrivia, `* ${doc} `, true)
}

async function bundle(out, { name, entry }) {
  const bundled = await rollup({
    input: join(out, entry.replace(/\.ts$/, '.d.ts')),
    plugins: [dts()],
    external: (id) => /^[a-z@]/.test(id), // packages, and Node's own modules
    onwarn: ({ message }) => {
      throw new SetupFailed(`the declarations of ${entry}: ${message}`)
    },
  })
  const { output } = await bundled.generate({ format: 'es' })
  await bundled.close()
  const [{ code, imports }] = output
  const foreign = imports.filter((id) => !id.startsWith('node:'))
  if (foreign.length > 0) throw new SetupFailed(`dist/${name}.d.ts must not need ${foreign.join(', ')}: users do not have it; write the type out in ${entry}`)
  return { name: `${name}.d.ts`, text: code }
}
