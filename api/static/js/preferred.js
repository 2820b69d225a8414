// Which dataset the form begins with.

/** The dataset to begin with: the one that is `shown`, or the one added last; built-in ones have no date. */
export function preferred(ready, shown) {
  const newest = ready.reduce((a, b) => ((b.created_at ?? "") > (a?.created_at ?? "") ? b : a), ready[0]);
  return ready.some(({ name }) => name === shown) ? shown : newest?.name;
}
