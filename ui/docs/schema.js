// Reads JSON Schema as OpenAPI 3.1 uses it: references, types in words, rows of fields, examples.
// Owns: following `$ref` inside the document, with an end to every circle.
// Never: fetches a reference from elsewhere, or builds elements. Pure.

const DEEPEST = 6;

export class Schemas {
  #document;

  constructor(document) {
    this.#document = document;
  }

  /** Follows references until there is none; a broken or circular one becomes an empty object. */
  resolve(value) {
    let current = value;
    for (let step = 0; step < 16; step += 1) {
      if (typeof current?.$ref !== "string") return current ?? {};
      if (!current.$ref.startsWith("#/")) return {};
      const { $ref, ...siblings } = current;
      const found = $ref
        .slice(2)
        .split("/")
        .map((part) => decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~"))
        .reduce((at, part) => (at !== null && typeof at === "object" && Object.hasOwn(at, part) ? at[part] : undefined), this.#document);
      current = found === undefined ? {} : { ...found, ...siblings };
    }
    return {};
  }

  /** The type in words: "string", "array of Citation", "integer or null". */
  typeName(schema) {
    const name = this.#referenceName(schema);
    const resolved = this.resolve(schema);
    if (resolved.const !== undefined) return JSON.stringify(resolved.const);
    const options = resolved.oneOf ?? resolved.anyOf;
    if (Array.isArray(options)) return unique(options.map((option) => this.typeName(option))).join(" or ");
    const types = [resolved.type ?? (resolved.properties ? "object" : resolved.allOf ? "object" : "any")].flat();
    return types
      .map((type) => {
        if (type === "array") return `array of ${this.typeName(resolved.items ?? {})}`;
        if (type === "object" && name !== "") return name;
        return resolved.format ? `${type} (${resolved.format})` : type;
      })
      .join(" or ");
  }

  /** Limits of a value, each as one short phrase. */
  limits(schema) {
    const resolved = this.resolve(schema);
    const said = [];
    if (Array.isArray(resolved.enum)) said.push(`one of ${resolved.enum.map((value) => JSON.stringify(value)).join(", ")}`);
    const range = (low, high, unit) => {
      if (low !== undefined && high !== undefined) said.push(`${low} to ${high}${unit}`);
      else if (high !== undefined) said.push(`at most ${high}${unit}`);
      else if (low !== undefined) said.push(`at least ${low}${unit}`);
    };
    range(resolved.minLength, resolved.maxLength, " characters");
    range(resolved.minimum, resolved.maximum, "");
    range(resolved.minItems, resolved.maxItems, " items");
    if (resolved.pattern) said.push(`matches ${resolved.pattern}`);
    if (resolved.default !== undefined) said.push(`default ${JSON.stringify(resolved.default)}`);
    return said;
  }

  /** Fields of an object and of the objects in it: {path, type, isRequired, limits, description}. */
  fields(schema, prefix = "", seen = []) {
    const resolved = this.#merged(schema);
    if ([resolved.type].flat().includes("array")) return this.fields(resolved.items ?? {}, `${prefix}[]`, seen);
    const name = this.#referenceName(schema);
    if (!resolved.properties || seen.length >= DEEPEST || (name !== "" && seen.includes(name))) return [];
    const required = new Set(resolved.required ?? []);
    return Object.entries(resolved.properties).flatMap(([key, field]) => {
      const path = prefix === "" ? key : `${prefix}.${key}`;
      const described = this.resolve(field);
      const row = {
        path,
        type: this.typeName(field),
        isRequired: required.has(key),
        limits: this.limits(field),
        description: described.description ?? "",
      };
      return [row, ...this.fields(field, path, [...seen, name || path])];
    });
  }

  /** An example value: the document's own where it has one, else made from the types. */
  example(schema, depth = 0) {
    const resolved = this.#merged(schema);
    if (resolved.example !== undefined) return resolved.example;
    if (Array.isArray(resolved.examples) && resolved.examples.length > 0) return resolved.examples[0];
    if (resolved.const !== undefined) return resolved.const;
    if (resolved.default !== undefined) return resolved.default;
    if (Array.isArray(resolved.enum)) return resolved.enum[0];
    if (depth > DEEPEST) return null;
    const options = resolved.oneOf ?? resolved.anyOf;
    if (Array.isArray(options) && options.length > 0) return this.example(options[0], depth + 1);
    const [type] = [resolved.type ?? (resolved.properties ? "object" : "null")].flat();
    if (type === "array") return [this.example(resolved.items ?? {}, depth + 1)];
    if (type === "object") {
      const entries = Object.entries(resolved.properties ?? {});
      return Object.fromEntries(entries.map(([key, field]) => [key, this.example(field, depth + 1)]));
    }
    if (type === "integer" || type === "number") return resolved.minimum ?? 0;
    if (type === "boolean") return false;
    return type === "string" ? (resolved.format ?? "string") : null;
  }

  #merged(schema) {
    const resolved = this.resolve(schema);
    if (!Array.isArray(resolved.allOf)) return resolved;
    const parts = resolved.allOf.map((part) => this.#merged(part));
    return {
      ...Object.assign({}, ...parts, resolved),
      properties: Object.assign({}, ...parts.map((part) => part.properties ?? {}), resolved.properties ?? {}),
      required: [...parts.flatMap((part) => part.required ?? []), ...(resolved.required ?? [])],
    };
  }

  #referenceName(schema) {
    return typeof schema?.$ref === "string" ? (schema.$ref.split("/").pop() ?? "") : "";
  }
}

function unique(values) {
  return [...new Set(values)];
}
