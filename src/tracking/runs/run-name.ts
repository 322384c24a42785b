/** Names for runs that were given none: two words and a number, easy to say aloud. */

const FIRST = [
  'able',
  'amber',
  'bold',
  'brave',
  'bright',
  'calm',
  'clever',
  'copper',
  'eager',
  'gentle',
  'golden',
  'grand',
];
const SECOND = [
  'alembic',
  'anvil',
  'beaker',
  'bellows',
  'copper',
  'crucible',
  'ember',
  'flask',
  'forge',
  'kiln',
  'quartz',
];

/** The same name for the same id. `id` is hexadecimal, of 8 digits at least. */
export function nameRun(id: string): string {
  const chance = Number.parseInt(id.slice(0, 8), 16);
  const first = FIRST[chance % FIRST.length];
  const second = SECOND[Math.floor(chance / 16) % SECOND.length];
  return `${first}-${second}-${Math.floor(chance / 512) % 1000}`;
}
