// As many instances as keep the load of each at a target.

const schema = {
  type: "object",
  properties: {
    target: { description: "The load that one instance should have.", type: "number", exclusiveMinimum: 0 },
  },
  required: ["target"],
  additionalProperties: false,
};

// A series that has had no sample for so long is of an instance that is gone.
const STALE_MS = 60_000;

// The three functions that Dynamite calls. Each call finds the module as it was built: nothing is kept in memory.

export function describe() {
  return {
    name: "keep-load",
    version: "0.1.0",
    summary: "As many instances as keep the load of each at a target",
    configSchema: JSON.stringify(schema),
  };
}

export function validate(config) {
  // What is thrown is the error.
  if (!(JSON.parse(config).target > 0)) throw "`target` must be above 0";
}

export function decide(config, seen, _state) {
  const { target } = JSON.parse(config);
  const [{ metric, series }] = seen.windows;
  // Times are 64 bits wide: some versions of the tools make BigInts of them, and others numbers.
  const oldest = Number(seen.now) - STALE_MS;
  const fresh = series.filter(({ at }) => at.length > 0 && Number(at.at(-1)) >= oldest);
  const newest = fresh.map(({ values }) => values.at(-1));
  if (newest.length === 0) return verdict({ tag: "hold" }, `${metric} has no samples`);
  const load = newest.reduce((sum, value) => sum + value, 0) / newest.length;
  const ratio = load / target;
  const reason = `${metric} is ${load.toFixed(1)}, ${ratio.toFixed(2)} of the target ${target.toFixed(1)}`;
  return verdict({ tag: "scale-to", val: countFor(ratio, seen.service) }, reason);
}

/** The instances for `ratio` times the load that all of them have, within the bounds of the service. */
function countFor(ratio, { instances, minInstances, maxInstances }) {
  const wanted = instances.filter(({ state }) => state !== "stopping").length * ratio;
  // 3 times 0.1 / 0.1 is a little more than 3, and still 3 instances.
  const enough = Math.ceil(wanted - Math.abs(wanted) * 1e-12);
  return Math.max(minInstances, Math.min(maxInstances ?? 0xffff_ffff, enough));
}

function verdict(decision, reason) {
  return { decision, reason, state: new Uint8Array(), wakeAt: null };
}
