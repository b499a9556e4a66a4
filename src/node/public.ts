/** What `import … from 'errand'` gives. Names only: the node itself is one bundle, which the command line starts as well. */
export type * from './embed.ts'
export { createNode, ErrandError } from './main.ts'
