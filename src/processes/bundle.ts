import { type Static, Type } from 'typebox';
import type { Millis } from '../core/model.ts';
import { messageOf, PushbroomError } from '../errors.ts';
import { readAggregation } from './aggregation.ts';
import { toInput } from './describe.ts';
import {
  type AggregatorDescriptor,
  parseDescriptor,
  type ProcessorDescriptor,
} from './descriptor.ts';
import { type Executables, withExecutables } from './executables.ts';
import { valueFault } from './inputs.ts';
import { parseParameters } from './parameters.ts';
import { DEPLOYED, Standing, wasVetted } from './standing.ts';

interface DeployedProcessor extends ProcessorDescriptor {
  readonly executables: Executables;
}

export interface DeployedAggregator extends AggregatorDescriptor {
  readonly executables: Executables;
}

/** A bundle that can be run. But for its standing it never changes. */
export interface DeployedBundle extends Readonly<Standing> {
  readonly name: string;
  readonly version: string;
  /** Bundles that it asks for; they are not installed with it yet. */
  readonly includes: readonly string[];
  readonly processors: readonly DeployedProcessor[];
  readonly aggregators: readonly DeployedAggregator[];
  /** Absolute path of the zip file. */
  readonly archive: string;
  /** SHA-256 of the archive, lower-case hexadecimal. */
  readonly hash: string;
  /** Bytes of the archive. */
  readonly size: number;
  readonly deployedAt: Millis;
  /** Who has brought it. */
  readonly deployedBy: string;
}

/** By whom bundles are brought that are nobody's own. */
export const CENTRE: Readonly<Record<'configuration' | 'operator', string>> = {
  configuration: 'configuration',
  operator: 'operator',
};

/** Whose a bundle is; nobody's if it is the centre's. */
export const ownerOf = ({ deployedBy }: Pick<DeployedBundle, 'deployedBy'>): string | undefined =>
  isCentre(deployedBy) ? undefined : deployedBy;

/** Who may not use what was withdrawn is to be told so, if he could before. */
export const isForOthers = (bundle: Standing): boolean =>
  bundle.visibility === 'public' &&
  (bundle.state === 'deployed' || (bundle.state === 'withdrawn' && wasVetted(bundle)));

export const isCentre = (by: string): boolean => Object.hasOwn(CENTRE, by);

/** What a process identifier stands for. */
export interface RegistryEntry {
  readonly bundle: DeployedBundle;
  readonly processor: DeployedProcessor;
}

/** What is written beside a bundle's archive: all that a start needs without opening it. */
export const BundleRecord = Type.Object({
  hash: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  size: Type.Integer(),
  deployedAt: Type.Integer(),
  deployedBy: Type.String(),
  /** Names on the top level of the unpacked bundle. */
  files: Type.Array(Type.String()),
  descriptor: Type.Object({
    file: Type.Union([Type.Literal('bundle-descriptor.xml'), Type.Literal('descriptor.xml')]),
    text: Type.String(),
  }),
  /** Records of earlier versions have none. */
  standing: Type.Optional(Standing),
});
export type BundleRecord = Static<typeof BundleRecord>;

/**
 * Reads a bundle from its record. A deployment goes this way as well, so what is deployed can be read again.
 *
 * @throws INVALID_BUNDLE for anything that an Execute would stumble over
 */
export function readBundleRecord(
  { descriptor, files, standing = DEPLOYED, ...record }: BundleRecord,
  archive: string,
): DeployedBundle {
  const bundle = withExecutables(parseDescriptor(descriptor.file, descriptor.text), new Set(files));
  for (const processor of bundle.processors) {
    try {
      checkDefaults(processor);
    } catch (error) {
      throw new PushbroomError(
        'INVALID_BUNDLE',
        `${descriptor.file}, processor ${processor.executableName}: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }
  return { ...bundle, ...record, ...standing, archive };
}

function checkDefaults(processor: ProcessorDescriptor): void {
  readAggregation(processor, undefined);
  parseParameters(processor.defaultParameters ?? '');
  for (const parameter of processor.parameters) {
    const { defaultValue } = parameter;
    const fault =
      defaultValue === undefined ? undefined : valueFault(toInput(parameter), defaultValue);
    if (fault) throw new Error(`the default of parameter ${parameter.name}: ${fault}`);
  }
}
