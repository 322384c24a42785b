/** The JSON paths of printer columns: `.a.b[0].c`, `.list[?(@.type=="Ready")].status`, `.labels.key\.with\.dots`. */
import { isJsonObject } from '../base/json.ts';

type Step =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'where'; readonly field: string; readonly value: string };

const STEP = /\.((?:\\.|[^.[\\])+)|\[(-?\d+)\]|\[\*\]|\[\?\(@\.([\w-]+)\s*==\s*["']([^"']*)["']\)\]|\['([^']+)'\]/y;

/** All values the path leads to, in order; none when it leads nowhere. A path that does not parse leads nowhere. */
export function readJsonPath(object: unknown, path: string): readonly unknown[] {
  const steps = parseSteps(path);
  if (steps === undefined) return [];
  return steps.reduce<readonly unknown[]>((values, step) => values.flatMap((value) => follow(value, step)), [object]);
}

function parseSteps(path: string): readonly Step[] | undefined {
  const text = path.replace(/^\{|\}$/g, '');
  const steps: Step[] = [];
  let position = 0;
  while (position < text.length) {
    STEP.lastIndex = position;
    const match = STEP.exec(text);
    if (match === null) return undefined;
    steps.push(toStep(match));
    position = STEP.lastIndex;
  }
  return steps;
}

function toStep([, name, index, field, value, quoted]: RegExpExecArray): Step {
  if (name !== undefined) return { kind: 'field', name: name.replaceAll('\\', '') };
  if (quoted !== undefined) return { kind: 'field', name: quoted };
  if (index !== undefined) return { kind: 'index', index: Number(index) };
  return field === undefined ? { kind: 'all' } : { kind: 'where', field, value: value ?? '' };
}

function follow(value: unknown, step: Step): readonly unknown[] {
  switch (step.kind) {
    case 'field':
      return isJsonObject(value) && value[step.name] !== undefined ? [value[step.name]] : [];
    case 'index':
      return Array.isArray(value) && value.at(step.index) !== undefined ? [value.at(step.index)] : [];
    case 'all':
      return Array.isArray(value) ? value : isJsonObject(value) ? Object.values(value) : [];
    case 'where':
      return Array.isArray(value)
        ? value.filter((item) => isJsonObject(item) && String(item[step.field]) === step.value)
        : [];
  }
}
