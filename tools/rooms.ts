/** The house as data: which rooms there are and on which floor. A new room or arrow changes this file and adds a page to docs/decisions. */

/** Rooms by floor, lowest first. A room imports only from floors below its own. */
export const FLOORS: readonly (readonly string[])[] = [
  ['base'],
  ['kube'],
  ['kinds', 'builtins', 'client', 'sql', 'blobs', 'modelfiles'],
  ['control', 'apiserver', 'agent', 'launcher', 'scheduler', 'tracking', 'modelserver', 'gateway'],
  ['cli'],
];

/** Files of a kind that belong to the top floor although they stand in the kind's folder. */
export const TOP_FLOOR_FILES: readonly string[] = ['command.ts', 'page.tsx'];

/** What the tidy test measures. */
export const LIMITS = { fileLines: 400, functionLines: 70, lineLength: 120, parameters: 3, nesting: 3 } as const;

/** The floor of a file under src/, from 0; undefined for a room that is not listed. */
export function findFloor(path: string): number | undefined {
  const [room = '', ...rest] = path.split('/');
  if (room === 'kinds' && TOP_FLOOR_FILES.includes(rest.at(-1) ?? '')) return FLOORS.length - 1;
  const floor = FLOORS.findIndex((rooms) => rooms.includes(room));
  return floor < 0 ? undefined : floor;
}

/** The room of a file under src/; each kind is a room of its own kind, and may look only at another's kind.ts. */
export function roomOf(path: string): string {
  return path.split('/')[0] ?? '';
}
