// pager.tsx - long lists a page at a time, so that what is drawn stays small however long they are.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { count } from './format';
import { Button } from './ui';

/** first: number of the first row shown, from 1 on. of: all of them, when known. previous, next: undefined where there is no such page. */
export function Pager({ first, shown, of, previous, next }: {
  first: number; shown: number; of?: number | undefined; previous?: (() => void) | undefined; next?: (() => void) | undefined;
}) {
  return <div class="pager">
    <span>{count(first)}–{count(first + shown - 1)}{of !== undefined && ` of ${count(of)}`}</span>
    {(previous || next) && <div class="actions">
      <Button disabled={!previous} onClick={previous}>Previous</Button>
      <Button disabled={!next} onClick={next}>Next</Button>
    </div>}
  </div>;
}

/** A list that is here as a whole: a page of it is drawn. */
export function Paged<T>({ all, size = 25, children }: { all: T[]; size?: number; children: (rows: T[]) => ComponentChildren }) {
  const [wanted, setWanted] = useState(0);
  const page = Math.min(wanted, Math.max(0, Math.ceil(all.length / size) - 1)); // it may have become shorter
  const rows = all.slice(page * size, (page + 1) * size);
  return <>
    {children(rows)}
    {all.length > size && <Pager first={page * size + 1} shown={rows.length} of={all.length}
      previous={page > 0 ? () => setWanted(page - 1) : undefined} next={(page + 1) * size < all.length ? () => setWanted(page + 1) : undefined} />}
  </>;
}
