import { announceOutput, productName, reportProgress, runProgram } from '../lib/program.ts';
import { writeSubset } from './subset.ts';

void runProgram(async (image, parameters) => {
  const output = `${productName(image)}_subset.tif`;
  if (await writeSubset(image, output, parameters, reportProgress)) announceOutput(output);
});
