// Keeps compiled code between starts (half of the start-up time is compiling), then hands over.
import { enableCompileCache } from 'node:module';

enableCompileCache();
const { main } = await import('../src/cli/main.ts');
await main(process.argv.slice(2));
