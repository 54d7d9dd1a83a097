import type { TakenSnapshot } from '../../contracts/database-snapshot.ts';
import type { Check } from '../../contracts/evidence.ts';
import type { KeptSnapshot, SnapshotSource } from './snapshot-store.ts';

const GIB = 2 ** 30;

/** What was taken, and what it has to be like. */
export interface VerifySnapshot {
  snapshot: KeptSnapshot;
  source: SnapshotSource;
  where: string;
  /** Of the source when the run began: it may have grown since. */
  sizeBytes: number;
  /** What it has to be a copy of. */
  of?: TakenSnapshot | undefined;
}

/** What can be known of a snapshot without restoring it: that it is whole, of the right instance and moment, and as large. */
export function verifySnapshot({ snapshot, source, where, sizeBytes, of }: VerifySnapshot): Check[] {
  const check = (name: string, passed: boolean, detail: string): Check => ({ name: `${name} in ${where}`, outcome: passed ? 'passed' : 'failed', detail });
  const gib = (bytes: number) => `${bytes / GIB} GiB`;
  const takenAt = snapshot.takenAt?.toISOString() ?? 'an unknown moment';
  const isRightSize = of ? snapshot.sizeBytes === of.sizeBytes : snapshot.sizeBytes >= sizeBytes && snapshot.sizeBytes <= source.sizeBytes;
  return [
    check('available', snapshot.status === 'available', `${snapshot.id} is ${snapshot.status}`),
    check('instance', snapshot.isOf(source), `of ${source.identifier} (${source.resourceId})${snapshot.isOf(source) ? '' : ': it is of another'}`),
    check('moment', of ? takenAt === of.takenAt : snapshot.takenAt !== null, of ? `${takenAt}; that of ${of.id} in ${of.where} is ${of.takenAt}` : takenAt),
    check('size', isRightSize, of ? `${gib(snapshot.sizeBytes)}, of ${gib(of.sizeBytes)}` : `${gib(snapshot.sizeBytes)}, of an instance of ${gib(source.sizeBytes)}`),
    check('encryption', snapshot.isEncrypted || !source.isEncrypted, `${snapshot.isEncrypted ? 'encrypted' : 'not encrypted'}, the source is ${source.isEncrypted ? 'too' : 'not'}`.replace('not encrypted, the source is too', 'not encrypted, and the source is')),
  ];
}
