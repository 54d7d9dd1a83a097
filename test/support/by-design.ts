/**
 * What the demo's database holds that nobody can compare, as evidence states it: the contents of indexes, an unlogged table, which comes back
 * empty, a sequence that cycles, and the templates that initdb made. Anything else among the reasons of a healthy drill is a fault.
 */
export const BY_DESIGN = /^(entries of indexes|shop, (unlogged table ops\.page_cache|position of sequence [\w."]+)|template[01], contents): /;
