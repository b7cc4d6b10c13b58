import { announceOutput, readInputList, reportProgress, runProgram } from '../lib/program.ts';
import { outputNameOf, writeProduct } from './format.ts';
import { writeQuicklook } from './quicklook.ts';

void runProgram(async (partsFile, parameters) => {
  const name = outputNameOf(parameters);
  const [product, quicklook] = [`${name}.tif`, `${name}_RGB.png`];
  if (!(await writeProduct(readInputList(partsFile), product, reportProgress))) return;
  announceOutput(product);
  if (await writeQuicklook(product, quicklook)) announceOutput(quicklook);
});
