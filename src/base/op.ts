/** One write under one key, so that rooms can hand writes to each other to be committed together. Knows no database. */
export type Op = { readonly t: 'put'; readonly key: string; readonly value: Uint8Array } | { readonly t: 'del'; readonly key: string }
