/** The version of this program; the bundler puts it in place of the import. */
import pack from '../../package.json' with { type: 'json' }

export const VERSION: string = pack.version
