import { expect, it } from 'vitest';
import { ownServerEnvironment } from '../../scripts/embedded/own-server-environment.ts';

it("a process with a server of ours has nothing of its user's own: neither namespace nor key, certificates nor profile", () => {
  const theirs = { TEMPORAL_ADDRESS: 'theirs:1', TEMPORAL_NAMESPACE: 'ops', TEMPORAL_API_KEY: 'k', TEMPORAL_PROFILE: 'p', TEMPORAL_TLS: 'true', TEMPORAL_TLS_CLIENT_CERT_PATH: '/c' };
  expect(ownServerEnvironment('127.0.0.1:7', { HOME: '/h', TEMPORAL_CLI_PATH: '/t', TEMPORAL_TEST_SERVER_PATH: '/s', ...theirs }))
    .toEqual({ HOME: '/h', TEMPORAL_CLI_PATH: '/t', TEMPORAL_TEST_SERVER_PATH: '/s', TEMPORAL_ADDRESS: '127.0.0.1:7', TEMPORAL_NAMESPACE: 'default', TEMPORAL_CONFIG_FILE: '/nonexistent/temporal.toml' });
});
