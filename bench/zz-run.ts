import { webhdfs } from './zz-webhdfs.ts'; import { table } from './report.ts'; console.log(table(await webhdfs.run(console.log)));
