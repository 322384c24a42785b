/** MLflow's order texts: `metrics.acc DESC`. Pure. */
import { StatusError } from '../../kube/status-error.ts';
import { type Identifier, parseIdentifier, type Searchable, TokenReader } from './search-filter.ts';

/** One column to sort by. */
export interface Order extends Identifier {
  readonly descending: boolean;
}

/** @throws Invalid with what was wrong. */
export function parseOrder(source: string, searchable: Searchable): Order {
  const reader = new TokenReader(source);
  const identifier = parseIdentifier(reader, searchable);
  const descending = reader.accept('DESC');
  if (!descending) reader.accept('ASC');
  if (reader.isAtEnd && identifier.entity !== 'dataset') return { ...identifier, descending };
  throw new StatusError('Invalid', `Invalid order_by ${JSON.stringify(source)}: use an identifier and ASC or DESC.`);
}
