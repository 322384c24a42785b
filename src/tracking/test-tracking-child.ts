/** A process that serves tracking from one folder until it is killed; prints its URL. Used by kill.test.ts only. */
import { join } from 'node:path';
import { startTestTracking } from './test-tracking.ts';

const home = process.argv[2];
if (home === undefined) throw new Error('cannot serve: no folder was given');
const { url } = await startTestTracking({ home, database: { path: join(home, 'rows.db') } });
console.log(url);
