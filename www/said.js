// What workers and modules say, without words: codes, for which `english.js` and `german.js` have the texts.

/** A code, and what fills the places of its text: numbers and names, or such a thing again. */
export const said = (code, args = {}) => ({ code, args });

/** An error that says it so. */
export class Said extends Error {
  constructor(code, args = {}, more = {}) {
    super(code);
    Object.assign(this, { code, args }, more);
  }
}

/** Frees an object of a module; one that a trap left in use cannot be, and its worker ends anyway. */
export function free(object) {
  try {
    object?.free();
  } catch { /* the trap says more */ }
}

/** Any error so; what was not foreseen has words of its own. */
export const asSaid = (error) => (typeof error?.code === 'string' && error.args
  ? said(error.code, error.args)
  : said('unexpected', { why: error?.message ?? String(error) }));

/** The text of a code in a table, its places filled. */
export function sentence(table, { code, args = {} }) {
  const fill = (value) => (typeof value === 'object' ? sentence(table, value) : value);
  return table[code].replace(/\{(\w+)\}/g, (_, place) => fill(args[place]));
}
