/** Run times of pods that have ended, and which workloads learn from them. */
import { isPodFinished, POD_GROUP_LABEL, type Pod } from '../../kube/pod.ts';

/** One run: of which name, of which workload, and how long. */
export interface Run {
  readonly key: string;
  /** The same for all members of a gang. */
  readonly run: string;
  readonly runMs: number;
}

/** Counts, and suffixes of Kubernetes' generateName, which have no vowels. */
const MADE_UP = /(-\d+|-[bcdfghjklmnpqrstvwxz2456789]{5})+$/;

/** Workloads of a namespace that are called the same but for what was counted or made up learn from each other. */
export function learningKey(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''} ${name.replace(MADE_UP, '')}`;
}

/** What a pod that has ended well teaches, by when its last container ended. */
export function readRun(pod: Pod): Run | undefined {
  const { metadata, status } = pod;
  if (!isPodFinished(pod) || status?.phase !== 'Succeeded') return undefined;
  const ends = (status.containerStatuses ?? []).map(({ state }) => Date.parse(state.terminated?.finishedAt ?? ''));
  const runMs = Math.max(...ends) - Date.parse(status.startTime ?? '');
  if (!(runMs >= 0) || !Number.isFinite(runMs)) return undefined;
  const name = metadata.labels?.[POD_GROUP_LABEL] ?? metadata.name;
  return { key: learningKey(metadata.namespace, name), run: name, runMs };
}
