import { drillPaths, socketFile } from './drill.ts';

/** How many bytes the path of a Unix socket may have: 108 with the final zero on Linux, 104 elsewhere. */
export const SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103;

/** How many bytes the path of a drill's socket has, by the drill's directory. */
export function socketPathBytes(directory: string): number {
  return Buffer.byteLength(socketFile(drillPaths(directory).socket));
}
