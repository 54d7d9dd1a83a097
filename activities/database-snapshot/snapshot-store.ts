/** A snapshot as the service that keeps it describes it. */
export interface KeptSnapshot {
  id: string;
  /** By which it is named elsewhere, too. */
  arn: string;
  /** `creating` and what else is on its way is anything but these two. */
  status: 'available' | 'failed' | (string & {});
  percent: number;
  /** The moment that its data stands for; null while that is not known. */
  takenAt: Date | null;
  sizeBytes: number;
  isEncrypted: boolean;
  tags: Readonly<Record<string, string>>;
  /** Whether it, or what it was copied from, was taken of this instance. */
  isOf: (source: SnapshotSource) => boolean;
}

/** The database that snapshots are taken of, as its service knows it now. */
export interface SnapshotSource { identifier: string; resourceId: string; arn: string; sizeBytes: number; serverVersion: string; isEncrypted: boolean }

/** `begun`, also where something has that name already: who asked looks whose it is. `not now`: as it stands it cannot be; asked again it may. */
export type Begun = 'begun' | 'not now';

/**
 * One region of one account that keeps snapshots: the port behind which RDS lies. Each call can run twice; a reply that was lost
 * is made up for by looking.
 */
export interface SnapshotStore {
  /** Such as `eu-west-1`. */
  readonly where: string;
  find(id: string, signal?: AbortSignal): Promise<KeptSnapshot | undefined>;
  /** The tags alone, which another part of the service may know sooner than what lists snapshots; undefined where the snapshot is gone. */
  readTags(snapshot: KeptSnapshot, signal?: AbortSignal): Promise<Readonly<Record<string, string>> | undefined>;
  /** All that people and programs made, of whatever database; none that the service makes by itself. */
  list(): Promise<KeptSnapshot[]>;
  /** Asks for one that has these tags from the first moment on. */
  begin(id: string, tags: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Begun>;
  addTags(snapshot: KeptSnapshot, tags: Readonly<Record<string, string>>): Promise<void>;
  /** Gone already is as good. */
  remove(id: string): Promise<'removed' | 'not now'>;
}

/** Where copies are kept: what is begun there is a copy of `of`, which has to be available. */
export interface CopyStore extends Omit<SnapshotStore, 'begin'> {
  begin(of: Pick<KeptSnapshot, 'id' | 'arn'>, id: string, tags: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Begun>;
  /** Takes back what `begin` allowed the place of copies to read; nothing where it allowed nothing. */
  endSharing(of: Pick<KeptSnapshot, 'id' | 'arn'>): Promise<void>;
}

/** All places of one database's snapshots. */
export interface SnapshotStores {
  /** @throws ApplicationFailure `NOT_FOUND` */
  source(): Promise<SnapshotSource>;
  own: SnapshotStore;
  copies: readonly CopyStore[];
}
