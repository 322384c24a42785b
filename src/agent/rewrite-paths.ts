/** Where namespaces cannot be had: mount paths in command, args and env become the host's paths behind them. Pure. */
import type { Mount } from './plan-mounts.ts';

/** The text with each mount path that stands as a whole path, or as the start of one, replaced by its source. */
export function rewritePaths(text: string, mounts: readonly Pick<Mount, 'target' | 'source'>[]): string {
  if (mounts.length === 0) return text;
  const sources = new Map(mounts.map(({ target, source }) => [target, source]));
  const longestFirst = [...sources.keys()].sort((a, b) => b.length - a.length).map((target) => escapeRegExp(target));
  const pattern = new RegExp(`(?<![\\w./-])(${longestFirst.join('|')})(?=$|[^\\w.-]|\\.(?!\\w))`, 'g');
  return text.replaceAll(pattern, (target) => sources.get(target) ?? target);
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
