import { execFileSync } from 'node:child_process';
import { chmod, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { lacks } from '../fixtures/requires.ts';
import { operator, startPushbroom, temporaryDirectory, until } from '../servers/pushbroom.ts';

const DESCRIPTOR = `<bundleDescriptor><bundleName>copy</bundleName><bundleVersion>1.0</bundleVersion>
  <processorDescriptors><processorDescriptor><executableName>Copy</executableName><processorName>Copy</processorName>
  <formatting>IMPLICIT</formatting></processorDescriptor></processorDescriptors></bundleDescriptor>`;

/** Takes all that is left of a file system, while others may take some of it as well. */
async function fill(directory: string): Promise<string> {
  const ballast = join(directory, 'ballast');
  await using file = await open(ballast, 'w');
  const page = Buffer.alloc(4096);
  for (;;) {
    try {
      await file.write(page);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return ballast;
      throw error;
    }
  }
}

test.skipIf(lacks('mounting as root'))(
  'a full disk refuses new jobs in words, loses none of the old ones, and is forgotten when there is space',
  async () => {
    await using directory = await temporaryDirectory();
    const data = join(directory.path, 'data');
    await mkdir(data);
    await mkdir(join(directory.path, 'copy'));
    await writeFile(join(directory.path, 'copy/bundle-descriptor.xml'), DESCRIPTOR);
    const program = join(directory.path, 'copy/Copy-process');
    // Ends when the test has had its look.
    await writeFile(
      program,
      '#!/bin/sh\nwhile [ -e "$(dirname "$(readlink "$1")")/wait" ]; do sleep 0.1; done\ncp "$1" out\necho "OUTPUT_PRODUCT out"\n',
    );
    await chmod(program, 0o755);
    const archive = join(directory.path, 'archive');
    await mkdir(archive);
    await writeFile(join(archive, 'a.dat'), 'product');
    await writeFile(join(archive, 'wait'), '');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'pushbroom-test', data]);
    try {
      const server = await startPushbroom(directory.path, {
        bundles: ['./copy'],
        datasets: [{ name: 'a', productType: 'ANY', path: `${archive}/.*[.]dat` }],
        log: { level: 'fatal' },
      });
      onTestFinished(server.kill);
      const api = operator(server.internalUrl);
      const submit = () => api.submit('copy~1.0~Copy', { inputDataSetName: 'a' });
      const old = await submit();
      await until(
        () => api.job(old),
        ({ attempts }) => attempts === 1,
      );
      const ballast = await fill(data);
      await expect(submit()).rejects.toThrow('no space is left for the job store');
      const response = await fetch(`${server.publicUrl}/wps`, {
        method: 'POST',
        headers: { 'content-type': 'application/xml' },
        body: `<wps:Execute service="WPS" version="1.0.0" xmlns:wps="http://www.opengis.net/wps/1.0.0"
        xmlns:ows="http://www.opengis.net/ows/1.1"><ows:Identifier>copy~1.0~Copy</ows:Identifier><wps:DataInputs>
        <wps:Input><ows:Identifier>inputDataSetName</ows:Identifier><wps:Data><wps:LiteralData>a</wps:LiteralData></wps:Data>
        </wps:Input></wps:DataInputs><wps:ResponseForm><wps:ResponseDocument status="true"/></wps:ResponseForm></wps:Execute>`,
      });
      expect(await response.text()).toContain('exceptionCode="NotEnoughStorage"');
      expect((await api.job(old)).state).toBe('running');
      await rm(ballast);
      await rm(join(archive, 'wait'));
      expect(await api.ended(old)).toMatchObject({ state: 'successful' });
      expect(await api.ended(await submit())).toMatchObject({ state: 'successful' });
      expect(await server.stop()).toBe(0);
    } finally {
      execFileSync('umount', ['--lazy', data]);
    }
  },
);
