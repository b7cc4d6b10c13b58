import { readFileSync } from 'node:fs';
import http from 'node:http';
import { execFileSync } from 'node:child_process';
import { createWebHdfs } from '/work/main/src/storage/webhdfs/webhdfs.ts';
const u = JSON.parse(readFileSync('/tmp/h/hadoop-dev.json','utf8')).webhdfsUrl;
const s = createWebHdfs({type:'webhdfs',name:'c',urls:[u],user:'root',replication:1,blockSize:128<<20});
const N=256;
if(!(await s.stat('hdfs://c/h1/perf'))) await s.write('hdfs://c/h1/perf', async function*(){const c=Buffer.alloc(1<<20,5); for(let i=0;i<N;i++) yield c});
async function timed(name, f){ const c0=process.cpuUsage(), t0=performance.now(); const b=await f(); const c=process.cpuUsage(c0); const t=performance.now()-t0; console.log(name.padEnd(12), (N/t*1000).toFixed(0),'MB/s', 'cpu', ((c.user)/1e3).toFixed(0),'+', ((c.system)/1e3).toFixed(0),'ms of', t.toFixed(0), b) }
const get=(url)=>new Promise((ok,no)=>http.get(url,r=>{ if(r.statusCode===307){r.resume();get(r.headers.location).then(ok,no)} else {let n=0,c=0; r.on('data',d=>{n+=d.length;c++}); r.on('end',()=>ok([n,c]))}}));
for(let i=0;i<3;i++){
 await timed('raw',()=>get(u+'/webhdfs/v1/h1/perf?op=OPEN&user.name=root'));
 await timed('ours await',async()=>{let n=0,k=0;for await(const c of await s.read('hdfs://c/h1/perf')){n+=c.length;k++}return [n,k]});
 await timed('ours data',async()=>{let n=0,k=0;const r=await s.read('hdfs://c/h1/perf');r.on('data',c=>{n+=c.length;k++});await new Promise(ok=>r.on('end',ok));return [n,k]});
 const t0=performance.now(); const o=execFileSync('bash',['-c',`time curl -sL -o /dev/null '${u}/webhdfs/v1/h1/perf?op=OPEN&user.name=root'`],{stdio:['ignore','pipe','pipe']}); console.log('curl', (N/(performance.now()-t0)*1000).toFixed(0));
}
