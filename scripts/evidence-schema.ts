import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { evidenceSchema } from '../contracts/evidence.ts';

/** Where the published schema is, from dist/scripts as from scripts. */
export const EVIDENCE_SCHEMA_FILE = fileURLToPath(new URL('../docs/reference/evidence.schema.json', new URL(import.meta.url.replace('/dist/scripts/', '/scripts/'))));

/** The JSON schema (draft 2020-12) of evidence, for whoever reads it without this package. */
export function evidenceJsonSchema(): string {
  const schema = z.toJSONSchema(evidenceSchema, {
    target: 'draft-2020-12',
    override({ jsonSchema }) {
      // zod's pattern knows leap years, in 200 characters; `format` says the same, and this what it does not say.
      if (jsonSchema.format === 'date-time') jsonSchema.pattern = String.raw`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$`;
      // What was added within a schema version has a default: evidence from before has not got it, and stays valid.
      const { properties = {}, required } = jsonSchema;
      if (required) jsonSchema.required = required.filter((name) => !Object.hasOwn(properties[name] as object, 'default'));
    },
  });
  const { $schema, ...rest } = schema;
  const described = {
    $schema, title: 'Evidence of a run', description: 'Made from contracts/evidence.ts by `npm run evidence-schema`; docs/reference/evidence.md says what the fields mean.', ...rest,
  };
  return `${JSON.stringify(described, null, 2)}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await mkdir(dirname(EVIDENCE_SCHEMA_FILE), { recursive: true });
  await writeFile(EVIDENCE_SCHEMA_FILE, evidenceJsonSchema());
  process.stdout.write(`${EVIDENCE_SCHEMA_FILE}\n`);
}
