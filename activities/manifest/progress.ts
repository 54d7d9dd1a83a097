/** What a reading tells while it goes on; suits heartbeat details. */
export interface ManifestProgress {
  phase: 'position' | 'catalog' | 'tables';
  database: string;
  attempt: number;
  tablesDone: number;
  tablesTotal: number;
  bytesDone: number;
  bytesTotal: number;
  rows: number;
}
