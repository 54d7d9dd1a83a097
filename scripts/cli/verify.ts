import { isSignedBy } from '../../activities/evidence/chain/sign.ts';
import { verifyChain, type Verification } from '../../activities/evidence/chain/verify.ts';
import { FLAW_WORDS } from '../../activities/evidence/standing.ts';
import { readBytes } from './evidence-files.ts';
import { CommandError, EXIT, type ExitCode } from './exit.ts';
import type { TemporalOptions } from './options.ts';
import { coloured, plain, print } from './output.ts';

/** What is known from elsewhere: without it, that a file is consistent is all that can be said. */
export interface VerifyOptions extends TemporalOptions { head?: string; key?: string }

/** What makes more of a chain that is consistent: a head that is known from elsewhere, or a signature. */
type Authentication = 'head' | 'signature' | null;

/** `runbook verify`: recomputes the chain of a file of evidence. Needs no server and no configuration. */
export async function verify(file: string, options: VerifyOptions): Promise<ExitCode> {
  if (options.head !== undefined && !/^[0-9a-f]{64}$/i.test(options.head)) throw new CommandError(EXIT.usage, '--head takes the 64 digits that the result of the workflow, or the report, names as head');
  const bytes = await readBytes(file);
  const verification = verifyChain(bytes);
  const { authenticated, refusal } = await authenticate(verification, options);
  const isGood = verification.flaws.length === 0 && refusal === null;
  const verdict = !isGood ? 'not as it was written' : authenticated === null ? 'consistent, not authenticated' : `authentic, by ${authenticated === 'head' ? 'the head that was given' : 'the signature'}`;
  const { flaws, head, entries, redacted, signature } = verification;
  const isSigned = isGood && authenticated === 'signature';
  print(options, { file, verdict, head, entries, flaws, redacted, authenticated, refusal, signedWith: isSigned ? signature?.key ?? null : null, signature: signature === null ? 'none' : isSigned ? 'verified' : 'not checked' }, () => [
    `${plain(file)}: ${coloured(verdict, !isGood ? 'bad' : authenticated === null ? 'unsure' : 'ok')}`,
    ...flaws.map(({ part, what, detail }) => `  ${coloured(FLAW_WORDS[what], 'bad')} ${plain(part)}: ${plain(detail)}`),
    ...(refusal === null ? [] : [`  ${coloured(refusal, 'bad')}`]),
    ...(head === null ? [] : [`  head ${head}, ${entries} entries`]),
    ...(signature !== null && isGood && !isSigned ? ['  it carries a signature that was not checked: give --key with the public key'] : []),
    ...(redacted.length === 0 ? [] : [`  redacted, so not known: ${redacted.map(plain).join(', ')}`]),
    ...(isGood && authenticated === null ? ['  whoever can write the file can make a chain anew: give --head with what the result of the workflow says, or --key where it is signed'] : []),
  ]);
  return isGood ? EXIT.done : EXIT.failed;
}

async function authenticate({ flaws, head, signature }: Verification, { head: wanted, key }: VerifyOptions): Promise<{ authenticated: Authentication; refusal: string | null }> {
  const pem = key === undefined ? undefined : new TextDecoder().decode(await readBytes(key));
  let authenticated: Authentication = null;
  if (head === null || flaws.length > 0) return { authenticated, refusal: null };
  if (pem !== undefined) {
    if (!signature) return { authenticated, refusal: 'it is not signed, and --key asks for a signature' };
    let isRight: boolean;
    try {
      isRight = isSignedBy(pem, head, signature);
    } catch (cause) {
      throw new CommandError(EXIT.usage, `${key ?? ''}: ${(cause as Error).message}`, { cause });
    }
    if (!isRight) return { authenticated, refusal: `the signature is not one by the key in ${plain(key ?? '')}` };
    authenticated = 'signature';
  }
  if (wanted !== undefined) {
    if (wanted.toLowerCase() !== head) return { authenticated: null, refusal: `the head is not the one that was given: this is other evidence, or its chain was made anew` };
    authenticated ??= 'head';
  }
  return { authenticated, refusal: null };
}
