import { webhdfs } from './webhdfs.ts';
