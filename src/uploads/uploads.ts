import type { Registry } from '../processes/registry.ts';
import { createBundles, usedByBundles } from './bundles.ts';
import type { Bundles, BundlesOptions } from './bundles.ts';
import type { Check } from './check.ts';
import { createUserFiles, usedByFiles } from './files.ts';
import type { UserFiles } from './files.ts';
import { createRoom } from './room.ts';

/** What users may bring: bundles, and files for their own area. Both count against what they may keep. */
export interface Uploads {
  readonly bundles: Bundles;
  readonly files: UserFiles;
}

export interface UploadsOptions {
  readonly registry: Registry;
  /** Holds `<user>/<path>`. */
  readonly directory: string;
  /** Bytes that one user may keep. */
  readonly userBytes: number;
  readonly check: Check;
  readonly isRunning: BundlesOptions['isRunning'];
}

export function createUploads(options: UploadsOptions): Uploads {
  const { registry, directory, userBytes, check, isRunning } = options;
  const room = createRoom({
    userBytes,
    used: async (user) => {
      const ofFiles = await usedByFiles(directory, user);
      const ofBundles = usedByBundles(registry.bundles(), user);
      return { bytes: ofFiles.bytes + ofBundles.bytes, files: ofFiles.files + ofBundles.files };
    },
  });
  return {
    bundles: createBundles({ registry, check, room, isRunning }),
    files: createUserFiles(directory, room, check),
  };
}
