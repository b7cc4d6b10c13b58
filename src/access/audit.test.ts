import { appendFile, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openAudit } from './audit.ts';
import type { AuditTrail } from './audit.ts';

let directory: string;
let file: string;
let audit: AuditTrail;
let warnings: string[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pushbroom-audit-'));
  file = join(directory, 'audit.jsonl');
  warnings = [];
  audit = await openAudit({ file, now: () => 0, warn: (message) => void warnings.push(message) });
});
afterEach(async () => {
  await audit[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const event = (what: string, by = 'anna') => ({ what, by, address: 'a', outcome: 'done' });

/** All of it, page by page. */
async function readAll(limit: number, user?: string): Promise<string[]> {
  const found: string[] = [];
  let after: string | undefined;
  do {
    const page = await audit.read({
      limit,
      ...(after !== undefined && { after }),
      ...(user !== undefined && { user }),
    });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    found.push(...page.items.map(({ what }) => what));
    after = page.next;
  } while (after !== undefined);
  return found;
}

describe('the audit trail', () => {
  it('is a line of JSON for each event, for nobody else to read', async () => {
    audit.record(event('execute'));
    audit.record({ ...event('dismiss'), jobId: 'j' });
    await audit.read({ limit: 1 });
    expect(
      (await readFile(file, 'utf8')).split('\n').map((line) => line && JSON.parse(line)),
    ).toEqual([
      { time: '1970-01-01T00:00:00.000Z', ...event('execute') },
      { time: '1970-01-01T00:00:00.000Z', ...event('dismiss'), jobId: 'j' },
      '',
    ]);
    expect((await stat(file)).mode & 0o007).toBe(0);
  });

  it('is read from its end, in pages of any size, whatever is in it', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 20 });
    const long = fc.integer({ min: 60_000, max: 140_000 }).map((length) => 'ä'.repeat(length / 2));
    const texts = fc.array(fc.oneof({ weight: 9, arbitrary: text }, long), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(texts, fc.integer({ min: 1, max: 7 }), async (whats, limit) => {
        await rm(file);
        await audit.reopen();
        for (const what of whats) audit.record(event(what));
        expect(await readAll(limit)).toEqual(whats.toReversed().map((each) => each.toWellFormed()));
      }),
      { numRuns: 30 },
    );
  });

  it('is read where a line begins with the block that is read', async () => {
    const last = JSON.stringify({ time: '', ...event('') });
    const filled = last.replace('"what":""', `"what":"${'x'.repeat(64 * 1024 - 2 - last.length)}"`);
    audit.record(event('first'));
    await audit.read({ limit: 1 });
    await appendFile(file, `${filled}\n`);
    expect(await readAll(9)).toEqual([expect.stringMatching(/^x+$/), 'first']);
  });

  it('is read for one user, who did it or for whom it was done', async () => {
    for (let number = 0; number < 50; number += 1)
      audit.record(event(`${number}`, `u${number % 5}`));
    audit.record({ ...event('for', 'utepportal'), user: 'u3' });
    expect((await readAll(4, 'u3')).slice(0, 3)).toEqual(['for', '48', '43']);
    expect(await readAll(4, 'u3')).toHaveLength(11);
    expect(await readAll(4, 'none')).toEqual([]);
  });

  it('looks at some megabytes for a page, and goes on with the next', async () => {
    audit.record(event('first', 'rare'));
    const line = `${JSON.stringify({ time: '', ...event('x'.repeat(1000)) })}\n`;
    await audit.read({ limit: 1 });
    await appendFile(file, line.repeat(10_000));
    const page = await audit.read({ limit: 1, user: 'rare' });
    expect(page.items).toEqual([]);
    expect(page.next).toBeDefined();
    expect(await readAll(1, 'rare')).toEqual(['first']);
  });

  it('goes on in a new file when the old one is moved away', async () => {
    audit.record(event('before'));
    await audit.read({ limit: 1 });
    await rename(file, `${file}.1`);
    audit.record(event('between'));
    await audit.reopen();
    audit.record(event('after'));
    expect(await readAll(9)).toEqual(['after']);
    expect(await readFile(`${file}.1`, 'utf8')).toMatch(/before.*\n.*between/);
  });

  it('passes over what a full disk has cut off, and goes on after it', async () => {
    audit.record(event('first'));
    await audit.read({ limit: 1 });
    await appendFile(file, '{"time":"1970');
    await audit.reopen();
    audit.record(event('second'));
    expect(await readAll(9)).toEqual(['second', 'first']);
  });

  it('is refused from where it has no page', async () => {
    for (const after of ['x', '-1', '1.5', '']) {
      await expect(audit.read({ limit: 1, after })).rejects.toMatchObject({ locator: 'after' });
    }
    await writeFile(file, '');
    expect(await audit.read({ limit: 1, after: '999' })).toEqual({ items: [] });
  });
});
