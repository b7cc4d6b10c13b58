import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { PushbroomError, messageOf } from '../errors.ts';
import { hashFile } from '../hash.ts';
import { baseUrl, reach } from './client.ts';
import { DEFAULT_PUBLIC, examples } from './commands.ts';
import type { CliDeps } from './deps.ts';
import { createProgress } from './progress.ts';
import { asZip } from './zip.ts';

interface UploadFlags {
  readonly public: string;
  readonly dir?: string;
  readonly visibility: string;
  readonly json?: true;
}

export const uploadCommand = (deps: CliDeps): Command =>
  new Command('upload')
    .argument('<path>', 'a bundle (zip or directory), or with --dir any file')
    .description('upload a bundle or a file of your own to the public listener')
    .option('--dir <directory>', 'your directory for a file that is no bundle, e.g. region_data')
    .addOption(
      new Option('--visibility <who>', 'for whom a bundle is meant')
        .choices(['private', 'public'])
        .default('private'),
    )
    .addOption(
      new Option('--public <url>', 'public listener (PUSHBROOM_PUBLIC_URL)').default(
        deps.env['PUSHBROOM_PUBLIC_URL'] ?? DEFAULT_PUBLIC,
      ),
    )
    .option('--json', 'print JSON')
    .addHelpText('after', examples('upload ./fmask-3.2', 'upload lakes.zip --dir region_data'))
    .action(async (path: string, flags: UploadFlags) => {
      const name = basename(resolve(path));
      const uploaded =
        flags.dir === undefined
          ? await asZip(path, (zip, zipName) => send(deps, flags, zip, zipName))
          : await send(deps, flags, path, name);
      const text = `uploaded ${uploaded.name}, SHA-256 ${uploaded.sha256}\n`;
      deps.stdout.write(flags.json ? `${JSON.stringify(uploaded)}\n` : text);
    });

/** @throws what the server refuses; INTERNAL if something else has arrived than was sent */
async function send(deps: CliDeps, flags: UploadFlags, path: string, name: string) {
  const query = new URLSearchParams(
    flags.dir === undefined
      ? { dir: 'software', bundle: 'true', visibility: flags.visibility }
      : { dir: flags.dir },
  );
  const sha256 = await hashFile(path).catch((error: unknown) => {
    throw new PushbroomError('NOT_FOUND', `cannot read the file: ${messageOf(error)}`);
  });
  const progress = createProgress(deps.stderr);
  try {
    const { length, type, body } = await formOf(path, name, (percent) =>
      progress.update(percent, name),
    );
    const url = `${baseUrl(flags.public)}/upload?${query.toString()}`;
    const response = await reach(deps, url, {
      method: 'POST',
      headers: { 'content-type': type, 'content-length': String(length) },
      body,
      duplex: 'half',
    });
    const answer = await response.text();
    if (!response.ok) throw new PushbroomError('INVALID_PARAMETER', answer.trim());
    const arrived = response.headers.get('x-sha256');
    if (arrived !== sha256) {
      throw new PushbroomError(
        'INTERNAL',
        `${name} has not arrived as it was sent: upload it again`,
      );
    }
    return { name, sha256 };
  } finally {
    progress.stop();
  }
}

/** A form that is read from the disk as it is sent, and says how large it is before. */
async function formOf(path: string, name: string, onPercent: (percent: number) => void) {
  const boundary = `pushbroom-${randomUUID()}`;
  const quoted = name.replaceAll(/["\r\n]/g, '_');
  const before = Buffer.from(
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${quoted}"\r\n` +
      'Content-Type: application/octet-stream\r\n\r\n',
  );
  const after = Buffer.from(`\r\n--${boundary}--\r\n`);
  const { size } = await stat(path);
  async function* parts() {
    yield before;
    let sent = 0;
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      yield chunk;
      sent += chunk.length;
      onPercent((100 * sent) / size);
    }
    yield after;
  }
  return {
    length: before.length + size + after.length,
    type: `multipart/form-data; boundary=${boundary}`,
    body: ReadableStream.from(parts()),
  };
}
