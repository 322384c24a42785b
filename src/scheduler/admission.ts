/**
 * What is wrong with queues and workloads at the moment they are submitted: queues that make no tree or promise too
 * much, names of what is not there, and gangs that would not fit even if all were empty. A pure function of what is
 * stored.
 */
import { isEqual } from '../base/json.ts';
import type { Resources } from '../kinds/fields/resources.ts';
import type { Scheduling } from '../kinds/fields/scheduling.ts';
import type { StoredObject } from '../kube/object.ts';
import type { Node } from '../kube/pod.ts';
import type { FieldCause } from '../kube/status-error.ts';
import { formatAmount } from './amounts.ts';
import { Fitter } from './cycle/fit.ts';
import { Ledger } from './cycle/ledger.ts';
import type { Workload } from './cycle/workload.ts';
import { ClassReader, type DeviceClass, readNode } from './live/read-scene.ts';
import type { DeviceClasses } from './objects/device-classes.ts';
import { readResourcesAsk, toDemand } from './objects/read-demand.ts';
import { type NodePool, PoolRules, type Queue, readQueue } from './objects/read-queues.ts';
import { DEFAULT_POLICY } from './placement/policies.ts';
import { buildQueueTree, DEFAULT_QUEUE, findQueueProblems, lineOf } from './queues/queue-tree.ts';

/** All stored objects of a resource, such as `queues.athanor.dev`. */
export type Look = (resource: string) => readonly StoredObject[];

/** Says what is wrong with an object that is about to be stored; nothing when it may be. */
export type CheckScheduling = (
  object: StoredObject,
  before: StoredObject | undefined,
  look: Look,
) => readonly FieldCause[];

/** Asked for new objects and changed specs; what a controller makes was asked about when its owner came. */
export function createSchedulingAdmission(): CheckScheduling {
  const admission = new SchedulingAdmission();
  return (object, before, look) => admission.check(object, before, look);
}

class SchedulingAdmission {
  readonly #classes = new ClassReader();

  check(object: StoredObject, before: StoredObject | undefined, look: Look): readonly FieldCause[] {
    const isOwned = object.metadata.ownerReferences?.some(({ controller }) => controller === true) === true;
    if (isOwned || isEqual(object['spec'], before?.['spec'])) return [];
    // why: the CRD's schema has been checked before
    const spec = object['spec'] as unknown;
    if (object.kind === 'Queue') return checkQueue(object as unknown as Queue, before as unknown as Queue, look);
    if (object.kind === 'PodGroup') return this.#checkNames(spec as Scheduling, 'spec', look);
    if (object.kind === 'TrainingJob') return this.#checkJob(spec as JobSpec, look);
    if (object.kind !== 'InferenceService') return [];
    const { scheduling, resources } = spec as JobSpec; // why: as above
    return [
      ...this.#checkNames(scheduling, 'spec.scheduling', look),
      ...checkDevices(resources, this.#readClasses(look)),
    ];
  }

  #readClasses(look: Look): DeviceClasses {
    // why: they are stored as what they are
    return this.#classes.read(look('deviceclasses.athanor.dev') as readonly unknown[] as readonly DeviceClass[]);
  }

  #checkNames({ queue, pool, reservation }: Scheduling, path: string, look: Look): readonly FieldCause[] {
    const missing = (field: string, resource: string, name: string | undefined): readonly FieldCause[] => {
      if (name === undefined || (field === 'queue' && name === DEFAULT_QUEUE)) return [];
      const names = look(resource).map(({ metadata }) => metadata.name);
      if (names.includes(name)) return [];
      const known = names.length === 0 ? 'there is none' : `there are ${names.slice(0, 10).join(', ')}`;
      return [invalid(`${path}.${field}`, name, `there is no such ${field}; ${known}`)];
    };
    return [
      ...missing('queue', 'queues.athanor.dev', queue),
      ...missing('pool', 'nodepools.athanor.dev', pool),
      ...missing('reservation', 'reservations.athanor.dev', reservation),
    ];
  }

  #checkJob(spec: JobSpec, look: Look): readonly FieldCause[] {
    const classes = this.#readClasses(look);
    const named = [
      ...this.#checkNames(spec.scheduling, 'spec.scheduling', look),
      ...checkDevices(spec.resources, classes),
    ];
    return named.length > 0 ? named : checkSize(spec, classes, look);
  }
}

interface JobSpec {
  readonly replicas: number;
  readonly resources: Resources;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly scheduling: Scheduling;
}

function invalid(field: string, value: unknown, message: string): FieldCause {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${JSON.stringify(value)}: ${message}` };
}

/** Only what this change makes wrong; a parent that is not there yet may still come. */
function checkQueue(object: Queue, before: Queue | undefined, look: Look): readonly FieldCause[] {
  const { name } = object.metadata;
  // why: they are stored as what they are
  const stored = look('queues.athanor.dev') as readonly unknown[] as readonly Queue[];
  const others = stored.filter(({ metadata }) => metadata.name !== name);
  const problemsOf = (queues: readonly Queue[]) => findQueueProblems(queues.map(readQueue));
  const known = new Set(
    problemsOf(before === undefined ? others : [...others, before]).map((one) => JSON.stringify(one)),
  );
  return problemsOf([...others, object])
    .filter((one) => !known.has(JSON.stringify(one)) && !one.message.startsWith('there is no queue'))
    .filter(({ queue, field }) => queue === name || (queue === object.spec.parent && field !== 'spec.parent'))
    .map(({ queue, field, message }) => ({
      reason: 'FieldValueInvalid',
      field,
      message: queue === name ? message : `queue ${queue} ${message}`,
    }));
}

function checkDevices(resources: Resources, classes: DeviceClasses): readonly FieldCause[] {
  const { problem } = readResourcesAsk({ resources, nodeSelector: {} }, classes);
  return problem === undefined ? [] : [invalid('spec.resources', resources.devices ?? resources.requests, problem)];
}

/** As if every node were there, well and empty, and nobody held anything. */
function checkSize(spec: JobSpec, classes: DeviceClasses, look: Look): readonly FieldCause[] {
  // why: they are stored as what they are
  const nodes = (look('nodes') as readonly unknown[] as readonly Node[]).map(asWell);
  const pools = look('nodepools.athanor.dev') as readonly unknown[] as readonly NodePool[]; // why: as above
  const queues = look('queues.athanor.dev') as readonly unknown[] as readonly Queue[]; // why: as above
  const tree = buildQueueTree(queues.map(readQueue));
  const { queue, pool, topology, placement, exclusive } = spec.scheduling;
  const rules = new PoolRules(nodes, pools, tree).for({ queue, pool });
  if (nodes.length === 0) return [];
  const demand = toDemand(readResourcesAsk(spec, classes), rules, classes);
  const ledger = new Ledger(
    nodes.map((node) => readNode(node, classes)),
    tree,
  );
  const workload: Workload = {
    key: 'submitted',
    queue,
    priority: 0,
    isPreemptible: spec.scheduling.preemptible,
    createdAtMs: 0,
    minMember: spec.replicas,
    members: Array.from({ length: spec.replicas }, (_, index) => ({ key: String(index), demand })),
    topology,
    placement,
    isExclusive: exclusive,
  };
  return checkLimits(ledger, workload) ?? checkRoom(ledger, workload);
}

function asWell(node: Node): Node {
  const { taints = [] } = node.spec ?? {};
  return { ...node, spec: { taints }, status: { ...node.status, conditions: [{ type: 'Ready', status: 'True' }] } };
}

/** Undefined when no limit is in the way. */
function checkLimits(ledger: Ledger, { queue, members, minMember }: Workload): readonly FieldCause[] | undefined {
  const found = ledger.tree.byName.get(queue);
  const [first] = members;
  if (found === undefined || first === undefined) return undefined;
  const each = ledger.quotaOf(ledger.pool.classOf(first.demand));
  for (const { name, limit } of lineOf(found))
    for (const [resource, most] of Object.entries(limit)) {
      const one = each[resource] ?? 0;
      if (one * minMember <= most + 1e-6) continue;
      const wants = `${formatAmount(resource, one * minMember)} ${resource}`;
      const fits = Math.floor(most / one + 1e-6);
      const message = `asks for ${wants}, queue ${name} may hold ${formatAmount(resource, most)}: ${tell(fits)}`;
      return [invalid('spec.replicas', minMember, message)];
    }
  return undefined;
}

function checkRoom(ledger: Ledger, workload: Workload): readonly FieldCause[] {
  const fitter = new Fitter(ledger, { policy: DEFAULT_POLICY, random: () => 0, workloads: [workload] });
  const refusal = fitter.start(workload);
  if (refusal === undefined || !['NoRoom', 'Topology'].includes(refusal.reason)) return [];
  fitter.isTelling = false;
  let [fits, tooMany] = [0, workload.minMember];
  while (tooMany - fits > 1) {
    const count = Math.floor((fits + tooMany) / 2);
    const mark = ledger.mark();
    const smaller = { ...workload, minMember: count, members: workload.members.slice(0, count) };
    if (fitter.start(smaller) === undefined) fits = count;
    else tooMany = count;
    ledger.rollback(mark);
  }
  const message = `does not fit even on the empty cluster: ${tell(fits)}; ${refusal.message}`;
  return [invalid('spec.replicas', workload.minMember, message)];
}

function tell(fits: number): string {
  return fits === 0 ? 'not one pod would fit' : `${fits} pods would fit at most`;
}
