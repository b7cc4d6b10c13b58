import { stat } from 'node:fs/promises';
import { PushbroomError } from '../errors.ts';
import type { Caller } from '../jobs/jobs.ts';
import { type DeployedBundle, isCentre, ownerOf } from '../processes/bundle.ts';
import { processId } from '../processes/descriptor.ts';
import type { Registry } from '../processes/registry.ts';
import type { BundleVisibility, StandingWish } from '../processes/standing.ts';
import type { Check } from './check.ts';
import type { Room } from './room.ts';

export type { DeployedBundle };
export type { BundleVisibility, StandingWish };

/** Bundles, as far as somebody may do something about them: users about their own, operators about all. */
export interface Bundles {
  /**
   * Takes in a zip file, which stays where it is: a user's is his own, an operator's is deployed at once.
   *
   * @param name of the file as its user knows it
   * @throws INVALID_BUNDLE, BUNDLE_EXISTS, LIMIT_REACHED, STORAGE_FULL, FORBIDDEN, what `Check` throws
   */
  upload(
    path: string,
    name: string,
    caller: Caller,
    visibility: BundleVisibility,
  ): Promise<DeployedBundle>;
  /** In order of their names and versions. */
  of(caller: Caller): readonly DeployedBundle[];
  /** @param key `name~version` @throws NOT_FOUND */
  find(caller: Caller, key: string): DeployedBundle;
  /** @throws NOT_FOUND, FORBIDDEN, CONFLICT, STORAGE_FULL */
  change(caller: Caller, key: string, wish: StandingWish): Promise<DeployedBundle>;
  /** @throws NOT_FOUND, CONFLICT */
  remove(caller: Caller, key: string): Promise<void>;
}

export interface BundlesOptions {
  readonly registry: Pick<Registry, 'deploy' | 'upload' | 'change' | 'remove' | 'bundles'>;
  readonly check: Check;
  readonly room: Room;
  /** Whether a job that has not ended runs one of these processes; there is one at least. */
  readonly isRunning: (processes: readonly string[]) => Promise<boolean>;
}

export function createBundles({ registry, check, room, isRunning }: BundlesOptions): Bundles {
  const isHis = (caller: Caller, bundle: DeployedBundle): boolean =>
    caller.role !== 'user' || ownerOf(bundle) === caller.user;
  const of = (caller: Caller) => registry.bundles().filter((bundle) => isHis(caller, bundle));
  function find(caller: Caller, key: string): DeployedBundle {
    const found = of(caller).find(({ name, version }) => `${name}~${version}` === key);
    if (found) return found;
    const whose = caller.role === 'user' ? 'you have' : 'there is';
    throw new PushbroomError('NOT_FOUND', `${whose} no bundle '${key.slice(0, 200)}'`);
  }

  return {
    async upload(path, name, caller, visibility) {
      await check(path, name);
      if (caller.role !== 'user') return registry.deploy(path, caller.user);
      if (isCentre(caller.user)) {
        const message = `bundles of '${caller.user}' are the centre's: upload it by another name`;
        throw new PushbroomError('FORBIDDEN', message);
      }
      const { size } = await stat(path);
      return room.taking(caller, size, 1, () => registry.upload(path, caller.user, visibility));
    },
    of,
    find,
    change: async (caller, key, wish) => {
      find(caller, key);
      if (caller.role === 'user' && wish.state !== undefined && wish.state !== 'withdrawn') {
        const message = `only operators make a bundle ${wish.state}; you may withdraw yours`;
        throw new PushbroomError('FORBIDDEN', message);
      }
      return registry.change(key, wish, caller.user);
    },
    remove: async (caller, key) => {
      find(caller, key);
      await registry.remove(key, async (bundle) => {
        const processes = processesOf(bundle);
        return processes.length > 0 && isRunning(processes);
      });
    },
  };
}

/** Identifiers of the processes of a bundle. */
export const processesOf = (bundle: DeployedBundle): readonly string[] =>
  bundle.processors.map(({ executableName }) => processId(bundle, executableName));

/** Bytes of the bundles of a user, and how many they are. */
export function usedByBundles(bundles: readonly DeployedBundle[], user: string) {
  const own = bundles.filter((bundle) => ownerOf(bundle) === user);
  return { bytes: own.reduce((sum, { size }) => sum + size, 0), files: own.length };
}
