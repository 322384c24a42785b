/** What people, programs and models think of traces: feedback, expectations and issues. Knows their rows and life. */
import { ignoreNotFound, sayNotFound, StatusError } from '../../kube/status-error.ts';
import { chunk } from '../../sql/insert-rows.ts';
import { append } from '../owned-values.ts';
import type { AssessmentKind, AssessmentRow } from '../schema.ts';
import { inTransaction, type Tracking } from '../tracking.ts';
import { toTimestamp } from './trace-times.ts';
import { getTraceRow, holdTrace } from './traces.ts';

/** MLflow's Assessment; exactly one of feedback, expectation and issue is there. */
export interface Assessment {
  readonly assessment_id: string;
  readonly assessment_name: string;
  readonly trace_id: string;
  readonly span_id?: string | undefined;
  readonly source?: object | undefined;
  readonly create_time: string;
  readonly last_update_time: string;
  readonly feedback?: { readonly value?: unknown; readonly error?: object | undefined } | undefined;
  readonly expectation?: Expectation | undefined;
  readonly issue?: object | undefined;
  readonly rationale?: string | undefined;
  readonly metadata?: object | undefined;
  readonly overrides?: string | undefined;
  readonly valid?: boolean | undefined;
}

/** A plain value, or one that protobuf's Value cannot carry as a text. */
export interface Expectation {
  readonly value?: unknown;
  readonly serialized_value?:
    | { readonly serialization_format?: string | undefined; readonly value?: string | undefined }
    | undefined;
}

/** What a change may say; what is absent stays. */
export type AssessmentChange = { readonly [K in keyof NewAssessment]?: NewAssessment[K] | undefined };

type Kinds = Pick<AssessmentChange, 'feedback' | 'expectation' | 'issue'>;

/** What a client may say. */
export type NewAssessment = Omit<Assessment, 'assessment_id' | 'create_time' | 'last_update_time' | 'valid'>;

const TRACES_AT_ONCE = 1_000;

/** Keeps it; one that it overrides counts no more. @throws NotFound for the trace or the overridden one */
export async function createAssessment(tracking: Tracking, wanted: NewAssessment): Promise<Assessment> {
  const nowMs = tracking.clock.nowMs();
  const time = toTimestamp(nowMs);
  const assessment: Assessment = {
    ...wanted,
    assessment_id: `a-${tracking.newId()}`,
    create_time: time,
    last_update_time: time,
    valid: true,
  };
  await inTransaction(tracking, async (within) => {
    await holdTrace(within, wanted.trace_id);
    if (wanted.overrides) await setValid(within, await getAssessment(within, wanted.trace_id, wanted.overrides), false);
    await within.db.insertInto('tracking_assessments').values(toRow(assessment, nowMs)).execute();
  });
  return assessment;
}

/** @throws NotFound */
export async function getAssessment(tracking: Tracking, traceId: string, id: string): Promise<Assessment> {
  await getTraceRow(tracking, traceId).catch(refuseTrace(traceId));
  const row = await tracking.db
    .selectFrom('tracking_assessments')
    .selectAll()
    .where('assessment_id', '=', id)
    .where('trace_id', '=', traceId)
    .executeTakeFirst();
  if (row) return fromRow(row);
  throw new StatusError('NotFound', `Assessment with ID '${id}' not found for trace '${traceId}'`);
}

function refuseTrace(traceId: string): (error: unknown) => never {
  return sayNotFound(`Trace with request_id '${traceId}' not found`);
}

/** Changes what is given. @throws NotFound; Invalid when it would become of another kind */
export async function updateAssessment(
  tracking: Tracking,
  { traceId, id }: { traceId: string; id: string },
  change: AssessmentChange,
): Promise<Assessment> {
  return inTransaction(tracking, async (within) => {
    await holdTrace(within, traceId).catch(refuseTrace(traceId));
    const before = await getAssessment(within, traceId, id);
    const metadata = change.metadata && { metadata: { ...before.metadata, ...change.metadata } };
    const last_update_time = toTimestamp(tracking.clock.nowMs());
    const after = { ...before, ...change, ...metadata, last_update_time } as Assessment; // why: a change has values
    const [was, is] = [kindOf(before), kindOf(change) ?? kindOf(before)];
    if (was !== is) {
      throw new StatusError('Invalid', `Cannot update ${was} value on ${is} assessment.`);
    }
    await write(within, after);
    return after;
  });
}

/** Forgets it; what it overrode counts again. Says nothing when there is none. @throws NotFound for the trace */
export async function deleteAssessment(tracking: Tracking, traceId: string, id: string): Promise<void> {
  await inTransaction(tracking, async (within) => {
    await holdTrace(within, traceId).catch(refuseTrace(traceId));
    const { overrides } = await getAssessment(within, traceId, id);
    await within.db.deleteFrom('tracking_assessments').where('assessment_id', '=', id).execute();
    const overridden = overrides && (await getAssessment(within, traceId, overrides).catch(ignoreNotFound));
    if (overridden) await setValid(within, overridden, true);
  });
}

/** By trace, each trace's in order of creation. */
export async function readAssessments(
  { db }: Tracking,
  traceIds: readonly string[],
): Promise<ReadonlyMap<string, readonly Assessment[]>> {
  const found = new Map<string, Assessment[]>();
  for (const part of chunk(traceIds, TRACES_AT_ONCE)) {
    const query = db.selectFrom('tracking_assessments').selectAll().where('trace_id', 'in', part);
    for (const row of await query.orderBy('create_ms').orderBy('assessment_id').execute()) {
      append(found, row.trace_id, fromRow(row));
    }
  }
  return found;
}

/** Which of the three it is; undefined for a change that touches none. */
export function kindOf(assessment: Kinds): AssessmentKind | undefined {
  if (assessment.feedback !== undefined) return 'feedback';
  if (assessment.expectation !== undefined) return 'expectation';
  return assessment.issue === undefined ? undefined : 'issue';
}

async function setValid(tracking: Tracking, assessment: Assessment, valid: boolean): Promise<void> {
  await write(tracking, { ...assessment, valid });
}

async function write({ db }: Tracking, assessment: Assessment): Promise<void> {
  const { create_ms: _created, ...row } = toRow(assessment, 0);
  await db.updateTable('tracking_assessments').set(row).where('assessment_id', '=', assessment.assessment_id).execute();
}

function toRow(assessment: Assessment, createMs: number): AssessmentRow {
  const { assessment_id, trace_id, assessment_name: name, valid, ...rest } = assessment;
  return {
    assessment_id,
    trace_id,
    kind: kindOf(rest) ?? 'feedback',
    name,
    value: toText(assessment),
    is_valid: valid === false ? 0 : 1,
    create_ms: createMs,
    content: JSON.stringify(assessment),
  };
}

function fromRow(row: AssessmentRow): Assessment {
  return JSON.parse(row.content) as Assessment; // why: toRow wrote it
}

function toText({ feedback, expectation }: Assessment): string {
  const value = feedback?.value ?? expectation?.value ?? expectation?.serialized_value?.value ?? null;
  return typeof value === 'string' ? value : JSON.stringify(value);
}
