/** A child process for tests: the API server on a SQLite journal, which prints its URL and waits to be killed. */
import { ensureCredentials } from '../src/apiserver/credentials.ts';
import { startApiServer } from '../src/apiserver/server.ts';
import { openSqliteJournal } from '../src/apiserver/sqlite-journal.ts';
import { hostClock } from '../src/base/clock.ts';

const [folder = ''] = process.argv.slice(2);
const server = await startApiServer({
  host: '127.0.0.1',
  port: 0,
  journal: openSqliteJournal(`${folder}/cluster.db`),
  credentials: await ensureCredentials(folder),
  nodeToken: 'node-token',
  clock: hostClock(globalThis),
  random: Math.random,
  report: (error) => console.error(error),
});
console.log(server.url);
