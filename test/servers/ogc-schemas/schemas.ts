/** The schemas of WPS, from archives that Maven has downloaded: nothing is fetched while a document is validated. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';

import {
  XmlBufferInputProvider,
  XmlDocument,
  xmlRegisterInputProvider,
  XsdValidator,
} from 'libxml2-wasm';
import { openPromise } from 'yauzl';

import { installArchives } from '../hadoop/installation.ts';

/** For `skipIf`: said aloud where tests are skipped; in CI, where the machine is ours, it is an error. */
export function lacksSchemas(): boolean {
  const missing = ['mvn', 'flock'].filter(
    (program) => spawnSync(program, ['-version']).error !== undefined,
  );
  if (missing.length === 0) return false;
  const what = `the schemas of the OGC, which ${missing.join(' and ')} would have to get`;
  if (process.env['CI'] === 'true') throw new Error(`CI has to have ${what}`);
  process.stderr.write(`SKIPPED: tests that need ${what}\n`);
  return true;
}

const SCHEMAS = 'http://schemas.opengis.net';
const ROOTS = {
  '1.0.0': `${SCHEMAS}/wps/1.0.0/wpsAll.xsd`,
  '2.0': `${SCHEMAS}/wps/2.0/wps.xsd`,
} as const;

/** Where an entry of an archive belongs on the web; of those of the OGC what documents of WPS consist of. */
const ADDRESSES: Readonly<Record<string, (entry: string) => string | undefined>> = {
  'ogc-schemas-5.0.1.jar': (entry) =>
    /^ogc\/(wps|ows)\/.*\.xsd$/.test(entry) ? entry.replace(/^ogc/, SCHEMAS) : undefined,
  '52n-xml-xlink-v110-2.4.0.jar': (entry) =>
    entry.endsWith('/xlink.xsd') ? 'http://www.w3.org/1999/xlink.xsd' : undefined,
  'cxf-core-4.1.0.jar': (entry) =>
    /^schemas\/wsdl\/(xml|XMLSchema)\.xsd$/.test(entry)
      ? entry.replace(/^schemas\/wsdl/, 'http://www.w3.org/2001')
      : undefined,
};

/**
 * Reads the schemas, after a download where there has been none yet.
 *
 * @returns says what is wrong with a document of that version of WPS, if anything is
 */
export async function openSchemas(): Promise<
  (version: keyof typeof ROOTS, document: string) => string | undefined
> {
  const libraries = await installArchives(join(import.meta.dirname, 'pom.xml'));
  const files: Record<string, Uint8Array> = {};
  for (const [archive, addressOf] of Object.entries(ADDRESSES)) {
    const zip = await openPromise(join(libraries, archive));
    for await (const entry of zip.eachEntry()) {
      const address = addressOf(entry.fileName);
      if (address) files[address] = await buffer(await zip.openReadStreamPromise(entry));
    }
  }
  xmlRegisterInputProvider(new XmlBufferInputProvider(files));
  const compile = (url: string) =>
    XsdValidator.fromDoc(XmlDocument.fromBuffer(files[url]!, { url }));
  const validators = { '1.0.0': compile(ROOTS['1.0.0']), '2.0': compile(ROOTS['2.0']) };
  return (version, document) => faultOf(validators[version], document);
}

function faultOf(validator: XsdValidator, document: string): string | undefined {
  const parsed = XmlDocument.fromString(document);
  try {
    validator.validate(parsed);
    return undefined;
  } catch (error) {
    return String(error);
  } finally {
    parsed.dispose();
  }
}
