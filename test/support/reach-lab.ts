import { vi } from 'vitest';
import { forgetClients } from '../../activities/aws/per-access.ts';
import type { AwsLab } from './aws-lab.ts';

/** Lets adapters reach a lab as they reach AWS, in place of a lab that another test of this process had. `vi.unstubAllEnvs` ends it. */
export function reachLab({ endpoint, credentials }: Pick<AwsLab, 'endpoint' | 'credentials'>): void {
  vi.stubEnv('AWS_ENDPOINT_URL', endpoint);
  vi.stubEnv('AWS_ACCESS_KEY_ID', credentials.accessKeyId);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', credentials.secretAccessKey);
  forgetClients();
}
