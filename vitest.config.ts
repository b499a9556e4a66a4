/** Two kinds of tests: quick ones in one process each, and end-to-end ones that start real nodes from dist (scripts/test.mjs builds first). */
import { defineConfig } from 'vitest/config'

const shared = { environment: 'node', pool: 'forks' } as const
const E2E = ['test/e2e/**/*.test.ts', 'test/contract/**/*.test.ts']

export default defineConfig({
  // Node 20 does not know `using`; the tests are lowered as the bundles are.
  oxc: { target: 'node20' },
  test: {
    maxWorkers: 3, // of two cores: a third of what end-to-end tests do is wait
    projects: [
      { extends: true, test: { ...shared, name: 'unit', include: ['test/**/*.test.ts'], exclude: E2E, testTimeout: 60_000, hookTimeout: 60_000 } },
      { extends: true, test: { ...shared, name: 'e2e', include: E2E, testTimeout: 120_000, hookTimeout: 120_000 } },
    ],
  },
})
