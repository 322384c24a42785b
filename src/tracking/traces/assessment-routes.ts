/** MLflow's assessment endpoints. Knows field names; assessments.ts knows what they do. */
import { z } from 'zod';
import { text } from '../request-shape.ts';
import { type Route, route } from '../route.ts';
import { nothing } from '../runs/experiment-routes.ts';
import {
  type AssessmentChange,
  createAssessment,
  deleteAssessment,
  getAssessment,
  updateAssessment,
} from './assessments.ts';

const source = z.object({ source_type: z.string().default('HUMAN'), source_id: z.string().default('default') });

/** What a client says of an assessment. */
export const assessmentShape = z
  .object({
    assessment_name: text,
    span_id: z.string(),
    source,
    feedback: z.object({ value: z.unknown().optional(), error: z.looseObject({}).optional() }),
    expectation: z.object({
      value: z.unknown().optional(),
      serialized_value: z
        .object({ serialization_format: z.string().optional(), value: z.string().optional() })
        .optional(),
    }),
    issue: z.looseObject({}),
    rationale: z.string(),
    metadata: z.record(z.string(), z.string()),
    overrides: z.string(),
  })
  .partial()
  .required({ assessment_name: true });

const changeShape = assessmentShape.partial();
const onePath = z.object({ trace_id: text, assessment_id: text });

/** The fields that the mask names, `feedback.value` included; without one, all that are there. */
function pick(change: z.output<typeof changeShape>, mask: string | undefined): AssessmentChange {
  if (!mask) return change;
  const named = new Set(
    mask.split(',').map(
      (path) =>
        path
          .trim()
          .replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
          .split('.')[0],
    ),
  );
  return Object.fromEntries(Object.entries(change).filter(([key]) => named.has(key)));
}

/** Below `/mlflow`. */
export const assessmentRoutes: readonly Route[] = [
  route('POST /traces/:trace_id/assessments', {
    version: '3.0',
    input: z.object({ trace_id: text, assessment: assessmentShape }),
    answer: async (tracking, { trace_id, assessment }) => ({
      assessment: await createAssessment(tracking, { ...assessment, trace_id }),
    }),
  }),
  route('GET /traces/:trace_id/assessments/:assessment_id', {
    version: '3.0',
    input: onePath,
    answer: async (tracking, { trace_id, assessment_id }) => ({
      assessment: await getAssessment(tracking, trace_id, assessment_id),
    }),
  }),
  route('PATCH /traces/:trace_id/assessments/:assessment_id', {
    version: '3.0',
    input: onePath.extend({ assessment: changeShape, update_mask: z.string().optional() }),
    answer: async (tracking, { trace_id, assessment_id, assessment, update_mask }) => ({
      assessment: await updateAssessment(
        tracking,
        { traceId: trace_id, id: assessment_id },
        pick(assessment, update_mask),
      ),
    }),
  }),
  route('DELETE /traces/:trace_id/assessments/:assessment_id', {
    version: '3.0',
    input: onePath,
    answer: async (tracking, { trace_id, assessment_id }) =>
      deleteAssessment(tracking, trace_id, assessment_id).then(nothing),
  }),
];
