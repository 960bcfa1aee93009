// The API's documentation: reads /openapi.json and shows it, element by element.
// Owns: the order of the page (introduction, errors, operations by tag) and its table of contents.
// Never: loads anything but /openapi.json, sends a request for the reader, or keeps anything.

import { codeBlock, make, phrase, prose, table } from "./elements.js";
import { Schemas } from "./schema.js";

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options"];
const FETCH_MILLISECONDS = 15_000;
const byId = (id) => document.getElementById(id);

async function show() {
  const status = byId("status");
  try {
    const response = await fetch("/openapi.json", { signal: AbortSignal.timeout(FETCH_MILLISECONDS), credentials: "omit" });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    render(await response.json());
    status.hidden = true;
    followFragment();
  } catch (error) {
    status.textContent = `The description could not be loaded (${error.message}). Reload the page to try again.`;
  }
}

function render(description) {
  const schemas = new Schemas(description);
  const title = String(description.info?.title ?? "API");
  document.title = title;
  byId("title").textContent = title;
  byId("brand").textContent = title;
  byId("version").textContent = description.info?.version ? `v${description.info.version}` : "";
  byId("introduction").append(...prose(description.info?.description), ...authentication(description), ...errors(description, schemas));
  const groups = groupByTag(description, schemas);
  byId("operations").append(...groups.map((group) => groupElement(group, description, schemas)));
  byId("contents").append(...groups.map(contentsElement));
  byId("filter").addEventListener("input", (event) => filter(event.target.value));
}

function groupByTag(description, schemas) {
  const groups = new Map((description.tags ?? []).map((tag) => [tag.name, { name: tag.name, about: tag.description ?? "", operations: [] }]));
  for (const [path, rawItem] of Object.entries(description.paths ?? {})) {
    const item = schemas.resolve(rawItem);
    for (const method of METHODS) {
      const operation = item[method];
      if (operation === undefined) continue;
      const tag = operation.tags?.[0] ?? "Other";
      if (!groups.has(tag)) groups.set(tag, { name: tag, about: "", operations: [] });
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((one) => schemas.resolve(one));
      groups.get(tag).operations.push({ ...operation, method, path, parameters, anchor: anchorOf(method, path) });
    }
  }
  return [...groups.values()].filter((group) => group.operations.length > 0);
}

function anchorOf(method, path) {
  return `${method}-${path.replace(/[^A-Za-z0-9]+/g, "-").replace(/^-|-$/g, "")}`;
}

function contentsElement(group) {
  const links = group.operations.map((operation) =>
    make("li", { "data-find": findText(operation) }, make("a", { href: `#${operation.anchor}` }, verb(operation.method), make("span", { class: "path" }, ...breakable(operation.path)))),
  );
  return make("div", { class: "contents-group" }, make("p", { class: "contents-title" }, group.name), make("ul", {}, ...links));
}

function groupElement(group, description, schemas) {
  const operations = group.operations.map((operation) => operationElement(operation, description, schemas));
  return make("section", { class: "group" }, make("h2", { id: `tag-${group.name.replace(/\W+/g, "-")}` }, group.name), ...prose(group.about), ...operations);
}

function operationElement(operation, description, schemas) {
  const heading = make("h3", { id: `${operation.anchor}-title` }, operation.summary || `${operation.method.toUpperCase()} ${operation.path}`);
  const address = make("p", { class: "address" }, verb(operation.method), make("code", {}, ...breakable(operation.path)));
  return make(
    "article",
    { class: "operation", id: operation.anchor, "aria-labelledby": `${operation.anchor}-title`, "data-find": findText(operation) },
    heading,
    address,
    ...prose(operation.description),
    ...security(operation, description),
    ...parameters(operation, schemas),
    ...requestBody(operation, schemas),
    ...responses(operation, schemas),
    make("h4", {}, "Example"),
    codeBlock(curl(operation, description, schemas), `curl for ${operation.method.toUpperCase()} ${operation.path}`),
  );
}

function security(operation, description) {
  const needs = operation.security ?? description.security ?? [];
  const names = needs.flatMap((need) => Object.keys(need));
  if (names.length === 0) return [make("p", { class: "needs" }, "No credential is needed.")];
  const said = names.map((name) => sayScheme(name, description.components?.securitySchemes?.[name]));
  return [make("p", { class: "needs" }, "Needs ", ...said.flatMap((one, index) => (index === 0 ? [one] : [" or ", one])), ".")];
}

function sayScheme(name, scheme) {
  if (scheme?.type === "http") return make("code", {}, `Authorization: ${scheme.scheme === "bearer" ? "Bearer" : scheme.scheme}`);
  if (scheme?.type === "apiKey") return make("code", {}, scheme.name ?? name);
  return make("code", {}, name);
}

function parameters(operation, schemas) {
  if (operation.parameters.length === 0) return [];
  const rows = operation.parameters.map((parameter) => [
    make("code", {}, parameter.name),
    parameter.in,
    typeCell(schemas.typeName(parameter.schema ?? {}), parameter.required === true),
    about(parameter.description, schemas.limits(parameter.schema ?? {})),
  ]);
  return [make("h4", {}, "Parameters"), table(`Parameters of ${operation.method} ${operation.path}`, ["Name", "In", "Type", "About"], rows)];
}

function requestBody(operation, schemas) {
  const body = schemas.resolve(operation.requestBody);
  const parts = Object.entries(body.content ?? {}).flatMap(([type, media]) => [
    ...mediaTable(`Request body of ${operation.method} ${operation.path}`, type, media, schemas),
  ]);
  return parts.length === 0 ? [] : [make("h4", {}, "Request body"), ...prose(body.description), ...parts];
}

function responses(operation, schemas) {
  const entries = Object.entries(operation.responses ?? {});
  if (entries.length === 0) return [];
  const blocks = entries.map(([status, raw]) => {
    const response = schemas.resolve(raw);
    const headers = Object.keys(response.headers ?? {});
    const summary = make("summary", {}, make("span", { class: `status status-${status[0]}` }, status), " ", ...phrase(response.description));
    const parts = Object.entries(response.content ?? {}).flatMap(([type, media]) => [
      ...mediaTable(`${status} of ${operation.method} ${operation.path}, ${type}`, type, media, schemas),
      ...example(`${status} of ${operation.method} ${operation.path}, ${type}: example`, type, media, schemas),
    ]);
    const named = headers.length === 0 ? [] : [make("p", { class: "media" }, "Headers: ", ...headers.flatMap((name, at) => [at === 0 ? "" : ", ", make("code", {}, name)]))];
    if (parts.length === 0 && named.length === 0) return make("p", { class: "bare-response" }, ...summary.childNodes);
    const details = make("details", { class: "response" }, summary, ...named, ...parts);
    if (status.startsWith("2")) details.open = true;
    return details;
  });
  return [make("h4", {}, "Responses"), ...blocks];
}

function mediaTable(label, type, media, schemas) {
  const schema = media.schema ?? {};
  const fields = schemas.fields(schema);
  const line = make("p", { class: "media" }, make("code", {}, type), fields.length === 0 ? `: ${schemas.typeName(schema)}` : "");
  if (fields.length === 0) return [line];
  const rows = fields.map((field) => [make("code", {}, field.path), typeCell(field.type, field.isRequired), about(field.description, field.limits)]);
  return [line, table(label, ["Field", "Type", "About"], rows)];
}

function typeCell(type, isRequired) {
  return isRequired ? [type, " ", make("span", { class: "required" }, "required")] : [type];
}

function about(description, limits) {
  const parts = phrase(description);
  if (limits.length > 0) parts.push(make("span", { class: "limits" }, limits.join("; ")));
  return parts;
}

function exampleOf(media, schemas) {
  if (media.example !== undefined) return media.example;
  const named = Object.values(media.examples ?? {})[0];
  if (named !== undefined) return schemas.resolve(named).value;
  return schemas.example(media.schema ?? {});
}

function example(label, type, media, schemas) {
  const value = exampleOf(media, schemas);
  if (value === null || value === undefined) return [];
  return [codeBlock(typeof value === "string" ? value : JSON.stringify(value, null, 2), label)];
}

function authentication(description) {
  const schemes = Object.entries(description.components?.securitySchemes ?? {});
  if (schemes.length === 0) return [];
  const rows = schemes.map(([name, scheme]) => [name, [sayScheme(name, scheme)], phrase(scheme.description)]);
  return [make("h2", { id: "credentials" }, "Credentials"), table("Credentials", ["Name", "Sent as", "About"], rows)];
}

// The one error shape is the schema that the most refusals share.
function errors(description, schemas) {
  const counts = new Map();
  for (const item of Object.values(description.paths ?? {})) {
    for (const operation of Object.values(schemas.resolve(item))) {
      for (const [status, raw] of Object.entries(operation?.responses ?? {})) {
        const schema = schemas.resolve(raw).content?.["application/json"]?.schema;
        if (!/^[45]/.test(status) || schema === undefined) continue;
        const key = JSON.stringify(schema);
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
  }
  const most = [...counts].sort((a, b) => b[1] - a[1])[0];
  if (most === undefined) return [];
  const schema = JSON.parse(most[0]);
  return [
    make("h2", { id: "errors" }, "Errors"),
    make("p", {}, "Every refusal and failure has this one shape. Quote the request id when you ask for help."),
    ...mediaTable("The error shape", "application/json", { schema }, schemas),
    ...example("The error shape: example", "application/json", { schema }, schemas),
  ];
}

function curl(operation, description, schemas) {
  const server = description.servers?.[0]?.url ?? "";
  const base = /^https?:\/\//.test(server) ? server.replace(/\/$/, "") : window.location.origin;
  const valueOf = (parameter) => encodeURIComponent(String(parameter.example ?? schemas.example(parameter.schema ?? {}) ?? ""));
  const path = operation.path.replace(/\{(\w+)\}/g, (whole, name) => {
    const parameter = operation.parameters.find((one) => one.in === "path" && one.name === name);
    return parameter === undefined ? whole : valueOf(parameter);
  });
  const query = operation.parameters.filter((one) => one.in === "query" && one.required).map((one) => `${one.name}=${valueOf(one)}`);
  const address = `${base}${path}${query.length > 0 ? `?${query.join("&")}` : ""}`;
  const lines = [`curl ${operation.method === "get" ? "" : `-X ${operation.method.toUpperCase()} `}${quote(address)}`];
  const needs = (operation.security ?? description.security ?? []).flatMap((need) => Object.keys(need));
  if (needs.some((name) => description.components?.securitySchemes?.[name]?.type === "http")) lines.push(`-H "Authorization: Bearer $TOKEN"`);
  for (const parameter of operation.parameters) {
    if (parameter.in === "header" && parameter.required) lines.push(`-H ${quote(`${parameter.name}: ${decodeURIComponent(valueOf(parameter))}`)}`);
  }
  const streams = Object.values(operation.responses ?? {}).some((raw) => schemas.resolve(raw).content?.["text/event-stream"]);
  if (streams) lines.push(`-N -H 'Accept: text/event-stream'`);
  const media = schemas.resolve(operation.requestBody).content?.["application/json"];
  if (media !== undefined) lines.push(`-H 'Content-Type: application/json'`, `-d ${quote(JSON.stringify(exampleOf(media, schemas)))}`);
  return lines.join(" \\\n  ");
}

function quote(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function verb(method) {
  return make("span", { class: `verb verb-${method}` }, method.toUpperCase());
}

// Long paths may break after a slash, and nowhere else.
function breakable(path) {
  return path.split(/(?<=\/)/).flatMap((part) => [part, make("wbr")]);
}

function findText(operation) {
  return `${operation.method} ${operation.path} ${operation.summary ?? ""}`.toLowerCase();
}

function filter(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const element of document.querySelectorAll("[data-find]")) {
    element.hidden = !words.every((word) => element.dataset.find.includes(word));
  }
  for (const group of document.querySelectorAll(".group, .contents-group")) {
    group.hidden = group.querySelector("[data-find]:not([hidden])") === null;
  }
  const found = document.querySelectorAll(".operation:not([hidden])").length;
  const status = byId("status");
  status.hidden = words.length === 0;
  status.textContent = found === 0 ? "Nothing found." : `${found} found.`;
}

// The target was not there yet when the browser looked for it.
function followFragment() {
  const target = window.location.hash.length > 1 ? document.getElementById(window.location.hash.slice(1)) : null;
  target?.scrollIntoView();
}

show();
