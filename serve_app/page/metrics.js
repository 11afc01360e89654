// Prometheus text (exposition format 0.0.4): reading it, and what two readings say together.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

// Of one scrape: for each name, its samples as `{labels, value}`.
export function parse(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const found = line.startsWith("#") ? null : LINE.exec(line);
    if (found === null) continue;
    const [, name, inBraces = "", value] = found;
    const labels = {};
    for (const [, label, escaped] of inBraces.matchAll(LABEL)) labels[label] = unescape(escaped);
    if (!samples.has(name)) samples.set(name, []);
    samples.get(name).push({ labels, value: number(value) });
  }
  return samples;
}

// Sums over all replicas: from each value of `label` to the sum of the samples that pass.
export function sums(samples, name, label, passes = () => true) {
  const found = new Map();
  for (const { labels, value } of samples.get(name) ?? []) {
    if (!passes(labels)) continue;
    found.set(labels[label], (found.get(labels[label]) ?? 0) + value);
  }
  return found;
}

// How much a sum has grown since `before`; all of it where a replica has begun anew.
export function growth(now, before, key) {
  const grown = (now.get(key) ?? 0) - (before.get(key) ?? 0);
  return grown < 0 ? (now.get(key) ?? 0) : grown;
}

// The quantile (0 to 1) of what a histogram counted between two scrapes, interpolated within its
// bucket as PromQL's histogram_quantile does; null where it counted nothing.
export function quantile(q, now, before, name, label, key) {
  const own = (labels) => labels[label] === key;
  const late = sums(now, `${name}_bucket`, "le", own);
  const early = before === null ? new Map() : sums(before, `${name}_bucket`, "le", own);
  const buckets = [...late.keys()]
    .map((edge) => ({ edge: number(edge), count: growth(late, early, edge) }))
    .sort((one, other) => one.edge - other.edge);
  const total = buckets.at(-1)?.count ?? 0;
  return total > 0 ? interpolate(q * total, buckets) : null;
}

function interpolate(wanted, buckets) {
  const index = buckets.findIndex(({ count }) => count >= wanted);
  const { edge, count } = buckets[index];
  const below = index === 0 ? { edge: 0, count: 0 } : buckets[index - 1];
  if (edge === Infinity) return below.edge;
  const share = count === below.count ? 1 : (wanted - below.count) / (count - below.count);
  return below.edge + (edge - below.edge) * share;
}

function number(text) {
  return text === "+Inf" ? Infinity : Number(text);
}

function unescape(text) {
  return text.replace(/\\(.)/g, (_, character) => (character === "n" ? "\n" : character));
}
