import { PushbroomError } from '../errors.ts';
import type { BundleDescriptor } from './descriptor.ts';

const STEPS = ['process', 'prepare', 'finalize', 'format'] as const;

/** The programs of a processor or aggregator: `<name>-<step>`, files on the top level of the unpacked bundle. */
export interface Executables {
  readonly process: string;
  readonly prepare?: string;
  readonly finalize?: string;
  /** Ours, not Calvalus's: brings the results of a product or of a period into their final format. */
  readonly format?: string;
}

/** Whether a top-level file of a bundle is called by the runner, and so has to be executable. */
export const isExecutable = (file: string): boolean =>
  STEPS.some((step) => file.endsWith(`-${step}`));

/** Other ways of bringing a processor, which Calvalus knows and we do not (specification D.6). */
const OTHER_WAYS: readonly (readonly [suffix: string, name: string])[] = [
  ['-graph.xml', 'SNAP graphs'],
  ['-graph.xml.vm', 'SNAP graphs'],
  ['.py', 'Python modules without a process script'],
];

/**
 * Finds the programs of a processor or aggregator.
 *
 * @param files names on the top level of the unpacked bundle
 * @throws INVALID_BUNDLE naming what was looked for
 */
function findExecutables(name: string, files: ReadonlySet<string>): Executables {
  const programs = STEPS.map((step) => [step, `${name}-${step}`] as const);
  const process = `${name}-process`;
  const template = programs.find(([, file]) => files.has(`${file}.vm`) && !files.has(file));
  if (template) throw unsupported(name, `${template[1]}.vm`, 'Velocity templates');
  if (!files.has(process)) {
    const other = OTHER_WAYS.find(([suffix]) => files.has(name + suffix));
    if (other) throw unsupported(name, name + other[0], other[1]);
    throw new PushbroomError(
      'INVALID_BUNDLE',
      `'${name}' has no executable: looked for ${process} on the top level of the bundle.`,
    );
  }
  return { process, ...Object.fromEntries(programs.filter(([, file]) => files.has(file))) };
}

const unsupported = (name: string, file: string, what: string): PushbroomError =>
  new PushbroomError(
    'INVALID_BUNDLE',
    `'${name}' comes as ${file}, but ${what} are not supported yet: bring an executable ${name}-process.`,
  );

/** Adds its programs to every processor and aggregator. @throws INVALID_BUNDLE */
export function withExecutables(
  { processors, aggregators, ...bundle }: BundleDescriptor,
  files: ReadonlySet<string>,
) {
  return {
    ...bundle,
    processors: processors.map((processor) => {
      const executables = findExecutables(processor.executableName, files);
      if (processor.formatting === 'MANDATORY' && !executables.format) {
        throw new PushbroomError(
          'INVALID_BUNDLE',
          `Processor '${processor.executableName}' says that formatting is MANDATORY, but the bundle has no ` +
            `${processor.executableName}-format.`,
        );
      }
      return { ...processor, executables };
    }),
    aggregators: aggregators.map((aggregator) => ({
      ...aggregator,
      executables: findExecutables(aggregator.name, files),
    })),
  };
}
