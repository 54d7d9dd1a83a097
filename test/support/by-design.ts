/**
 * What nobody can compare in a drill of the demo's database, as evidence states it: the contents of indexes, an unlogged table, which comes back
 * empty, a sequence that cycles, the templates that initdb made, what was committed after the manifest, that the demo has no probe, and that a copy runs as production does where tests are not root's. Anything else among the reasons of a healthy drill is a fault.
 */
export const BY_DESIGN = /^(entries of indexes|application probe|[\w.]+, what was committed after [0-9A-F]+\/[0-9A-F]+ \(\S+\)|shop, (unlogged table ops\.page_cache|position of sequence [\w."]+)|template[01], contents|the drill was not kept from production's processes and all of its files): /;
