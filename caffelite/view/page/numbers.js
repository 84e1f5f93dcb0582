// Numbers and shapes as people read them.

export function shape(dims) {
  if (!dims) return "unknown";
  return dims.length ? dims.join("×") : "scalar";
}

export function exact(n) {
  return n.toLocaleString("en-US");
}

// 1234567 -> "1.23 M"
export function short(n) {
  const at = n ? Math.min(Math.floor(Math.log10(Math.abs(n)) / 3), 4) : 0;
  if (at > 0) return `${(n / 1000 ** at).toPrecision(3)} ${["", "k", "M", "G", "T"][at]}`;
  return `${Number(n.toPrecision(3))}`;
}

export function bytes(n) {
  const at = n ? Math.min(Math.floor(Math.log2(n) / 10), 4) : 0;
  return at > 0
    ? `${(n / 1024 ** at).toFixed(1)} ${["", "KiB", "MiB", "GiB", "TiB"][at]}`
    : `${n} B`;
}

// What a count of all layers comes to, as `show` writes it: "at least" that where it is not known of
// some.
export function total(layers, what, show) {
  const known = layers.map((layer) => layer[what]).filter((count) => count !== null);
  const sum = known.reduce((all, count) => all + count, 0);
  if (known.length === layers.length) return show(sum);
  return sum ? `at least ${show(sum)}` : "unknown";
}

export function value(x) {
  if (x === null || x === undefined) return "–";
  return Number(x.toPrecision(4)).toString();
}
