/**
 * The variables of this process: what reads one, reads it here. Apart from `config.ts`, which most of what asks for a name
 * or a directory must not wait for: it brings the parser and the schemas.
 */
export const environment: NodeJS.ProcessEnv = process.env;
