import { randomUUID } from 'node:crypto';

import { isQuotation, QUOTATION } from '../jobs/jobs.ts';
import type { Process, Quote } from '../jobs/jobs.ts';
import type { Inputs } from './inputs.ts';
import type { ServiceInfo } from './service-info.ts';

/** What a job would cost, as every front door gives it: one output, by value, at once (specification B.9). */
export interface Quotation {
  readonly output: { readonly id: string; readonly title: string; readonly description: string };
  readonly mediaType: string;
  readonly content: string;
  readonly quote: Quote;
}

const OUTPUT = {
  id: 'QUOTATION',
  title: 'Job Quotation',
  description: 'What the request would cost',
};

/**
 * Whether the inputs of a process that can be quoted ask for that.
 *
 * @throws INVALID_PARAMETER
 */
export function asksForQuotation(process: Process, inputs: Inputs): boolean {
  if (!process.isOpen && !process.inputs.some(({ id }) => id === QUOTATION)) return false;
  const [value, ...more] = inputs.get(QUOTATION) ?? [];
  if (value?.kind === 'complex') return isQuotation(value.content.toString());
  // What is of another kind or given twice is refused as any other input is.
  return value?.kind === 'literal' && more.length === 0 && isQuotation(value.text);
}

/** Portals read the first element of an array, where one object would do (specification J.1, 7). */
export function writeQuotation(quote: Quote, service: ServiceInfo, hostName: string): Quotation {
  const { job } = quote;
  const id = randomUUID();
  const record = {
    id,
    account: { platform: service.provider.name, userName: job.user, ref: job.reference ?? id },
    compound: { id, name: job.title, type: job.processor.processor || job.process },
    quantity: [
      { id: 'CPU_MILLISECONDS', value: quote.cpuMs },
      { id: 'PHYSICAL_MEMORY_BYTES', value: quote.peakMemoryBytes },
      { id: 'PROC_VOLUME_BYTES', value: quote.volumeBytes },
      { id: 'PROC_INSTANCE', value: quote.instances },
    ],
    hostName,
    timeStamp: new Date(quote.at).toISOString(),
    status: 'QUOTATION',
  };
  const content = JSON.stringify([record]);
  return { output: OUTPUT, mediaType: 'application/json', content, quote };
}
