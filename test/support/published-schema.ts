import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { EVIDENCE_SCHEMA_FILE } from '../../scripts/evidence-schema.ts';

const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
formats.default(ajv);
const validate = ajv.compile(JSON.parse(readFileSync(EVIDENCE_SCHEMA_FILE, 'utf8')) as object);

/** What is wrong with evidence by the published JSON schema, read as an outsider would: with a validator that knows nothing of us. */
export function problemsByPublishedSchema(evidence: unknown): string[] {
  return validate(evidence) ? [] : (validate.errors ?? []).map((error) => `${error.instancePath || '/'} ${error.message ?? ''}`);
}
