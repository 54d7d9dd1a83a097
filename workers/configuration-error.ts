/** The configuration cannot be used; the message is ready for people: every error with file, line, column and a sentence. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}
