/** MLflow keeps prompts as registered models with a tag. Searches show either those or the others, never both. */
import { type RawBuilder, sql } from 'kysely';
import type { Condition } from '../search/search-filter.ts';
import type { SearchTarget } from '../search/search-sql.ts';

const TAG = 'mlflow.prompt.is_prompt';

/** True of tags that make a registered model a prompt, which has no files. */
export function isPrompt(tags: readonly { readonly key: string; readonly value: string }[]): boolean {
  return tags.findLast(({ key }) => key === TAG)?.value.toLowerCase() === 'true';
}

/** A filter without its conditions on being a prompt, and what those come to; models are meant when there are none. */
export interface PromptSplit {
  readonly conditions: readonly Condition[];
  readonly predicate: RawBuilder<boolean>;
}

/** `tags.mlflow.prompt.is_prompt != 'true'` is also true of a model without that tag, unlike with other tags. */
export function splitPrompts(all: readonly Condition[], { ownerKind, owner }: SearchTarget): PromptSplit {
  const asked = all.find(isAboutPrompts);
  const prompts = sql<boolean>`exists (select 1 from tracking_tags as prompt where prompt.kind = ${ownerKind}
    and prompt.owner = ${owner} and prompt.key = ${TAG} and prompt.value = 'true')`;
  return {
    conditions: all.filter((condition) => !isAboutPrompts(condition)),
    predicate: asked && wantsPrompts(asked) ? prompts : sql<boolean>`not ${prompts}`,
  };
}

function isAboutPrompts({ entity, key }: Condition): boolean {
  return entity === 'tag' && key === TAG;
}

function wantsPrompts({ operator, values }: Condition): boolean {
  const value = String(values[0]).toLowerCase();
  return (operator === '=' && value === 'true') || (operator === '!=' && value === 'false');
}
