import { announceOutput, productName, reportProgress, runProgram } from '../lib/program.ts';
import { writeIndices } from './indices.ts';

void runProgram(async (scene, parameters) => {
  const output = `${productName(scene)}_indices.tif`;
  if (await writeIndices(scene, output, parameters, reportProgress)) announceOutput(output);
});
