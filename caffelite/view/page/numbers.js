// Numbers and shapes as people read them.

export function shape(dims) {
  if (!dims) return "?";
  return dims.length ? dims.join("×") : "scalar";
}

export function exact(n) {
  return n.toLocaleString("en-US");
}

// 1234567 -> "1.23 M"
export function short(n) {
  const at = n ? Math.min(Math.floor(Math.log10(Math.abs(n)) / 3), 4) : 0;
  return at > 0 ? `${(n / 1000 ** at).toPrecision(3)} ${["", "k", "M", "G", "T"][at]}` : `${n}`;
}

export function bytes(n) {
  const at = n ? Math.min(Math.floor(Math.log2(n) / 10), 4) : 0;
  return at > 0
    ? `${(n / 1024 ** at).toFixed(1)} ${["", "KiB", "MiB", "GiB", "TiB"][at]}`
    : `${n} B`;
}

export function value(x) {
  if (x === null || x === undefined) return "–";
  return Number(x.toPrecision(4)).toString();
}
