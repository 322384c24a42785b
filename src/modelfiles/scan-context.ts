/** What every scanner of a format is given. Knows no format. */
import type { Bytes } from './bytes.ts';
import type { Tell, Verdict } from './finding.ts';

/** One file, or one entry of an archive, that is being looked at. */
export interface Scan {
  /** Its name, whose last letters are believed only where they make things worse. */
  readonly name: string;
  readonly bytes: Bytes;
  readonly tell: Tell;
  /** The file is no better than this. */
  readonly admit: (verdict: Verdict) => void;
  /** Looks at something inside, whatever it is. */
  readonly scanInner: (name: string, bytes: Bytes) => Promise<void>;
  /** Whether archives may be inside. */
  readonly mayNest: boolean;
}

/** Looks through a file of its format. */
export type Scanner = (scan: Scan) => Promise<void>;
