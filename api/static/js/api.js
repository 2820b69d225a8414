// The API calls that this page makes.

/** A response that is a problem document (RFC 9457), or no response at all. */
export class Problem extends Error {
  constructor(document) {
    super(document.detail ?? document.title);
    this.document = document;
  }
}

/** A path of the API as an address relative to this page, which a proxy may serve below a prefix. */
export const address = (path) => path.replace(/^\//, "");

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(address(path), { ...options, headers: { Accept: "application/json", ...options.headers } });
  } catch {
    throw new Problem({ title: "No connection", detail: "The service does not respond. Is it running? This page keeps trying." });
  }
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({ title: `The response cannot be read (status ${response.status})` }));
  if (response.status === 401 && !path.endsWith("session")) location.reload(); // the session has ended: the page asks again
  if (!response.ok) throw new Problem(body);
  return body;
}

const sent = (body, headers = {}) => ({
  method: "POST",
  headers: { "Content-Type": "application/json", ...headers },
  body: JSON.stringify(body),
});

const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "" && value != null));

/** Who this page is to the service; 401: a key is needed. */
export const getSession = () => call("/session");
export const signIn = (key) => call("/session", sent({ key }));
export const signOut = () => call("/session", { method: "DELETE" });
export const listSearches = (state, pageToken) =>
  call(`/searches?${query({ state, page_token: pageToken, page_size: 20 })}`);
export const getFinished = (dataset) => call(`/searches?${query({ dataset, state: "succeeded", page_size: 10 })}`);
export const getSearch = (id) => call(`/searches/${id}`);
/** Two to five searches side by side. */
export const getComparison = (ids) => call(`/comparison?${new URLSearchParams(ids.map((id) => ["search_id", id]))}`);
export const getTradeOff = (search) => call(search.links["trade-off"]);
export const getArchitectureHistory = (search) => call(search.links["architecture-history"]);
export const getDoubtfulLabels = (search) => call(search.links["doubtful-labels"]);
/** Make the dataset `name` of another one, without the images `left_out`. */
export const correctDataset = (dataset, name, leftOut) =>
  call(`/datasets/${encodeURIComponent(dataset)}/corrections`, sent({ name, leave_out: leftOut }));
export const getRepeats = (search) => call(search.links.repeats);
export const getMetrics = (id, after) => call(`/searches/${id}/metrics?${query({ after })}`);
export const getEvents = (id, after) => call(`/searches/${id}/events?${query({ after })}`);
/** The stream of the events after number `after`. */
export const openEvents = (id, after) => new EventSource(address(`/searches/${id}/events?${query({ after })}`));
export const getLogs = (id) => call(`/searches/${id}/logs?${query({ tail: 200 })}`);
export const getArchitecture = (archId) => call(`/architectures/${archId}`);
export const getDatasets = async () => {
  const datasets = [];
  for (let token; token !== null; ) {
    const page = await call(`/datasets?${query({ page_token: token })}`);
    datasets.push(...page.datasets);
    token = page.next_page_token;
  }
  return { datasets };
};
export const getDataset = (name) => call(`/datasets/${encodeURIComponent(name)}`);
/** Choose how the files of an invalid dataset are read; it is checked again. */
export const readDataset = (name, reading) => call(`/datasets/${encodeURIComponent(name)}/reading`, { ...sent(reading), method: "PUT" });
export const deleteDataset = (name) => call(`/datasets/${encodeURIComponent(name)}`, { method: "DELETE" });
export const getBaselines = () => call("/baselines");
export const getWeights = () => call("/weights");
export const getWeightSet = (name) => call(`/weights/${encodeURIComponent(name)}`);
export const getDevices = () => call("/devices");
export const getModels = () => call("/models");
export const getModel = (name) => call(`/models/${encodeURIComponent(name)}`);
/** Let an alias of a model stand for the result of a search. */
export const promote = (model, alias, searchId, note) =>
  call(`/models/${encodeURIComponent(model)}/aliases/${encodeURIComponent(alias)}`, { ...sent({ search_id: searchId, note }), method: "PUT" });
/** Let it stand for what it stood for before this promotion. */
export const rollBack = ({ model, alias, number }) => call(`/models/${model}/aliases/${alias}/rollback`, sent({ number }));
/** What the service would make of a search; nothing is created. */
export const planSearch = (config) => call("/searches?validate_only=true", sent(config));
/** Whether the service has what computes predictions in this page, and how to install it. */
export const getPageRuntime = async () => {
  const { installed, install } = await call("/static/runtime.json");
  return { isInstalled: installed, install };
};
export const getReady = () => call("/readyz");
// `request` is one that the links of the search list: cancel, pause or resume.
export const ask = (search, request) => call(search.links[request], { method: "POST" });
export const deleteSearch = (id) => call(`/searches/${id}`, { method: "DELETE" });
export const createSearch = (config, key) => call("/searches", sent(config, { "Idempotency-Key": key }));

/** Upload a zip archive; `duplicates` of pictures in both splits are left out or kept. `fetch` does not report progress, XMLHttpRequest does. */
export function uploadDataset(name, archive, duplicates, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address(`/datasets?${query({ name, duplicates })}`));
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Content-Type", "application/zip");
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(loaded / total));
    request.addEventListener("error", () => reject(new Problem({ title: "Upload interrupted", detail: "The upload was interrupted and nothing was stored. Try again." })));
    request.addEventListener("load", () => {
      let body = { title: `The response cannot be read (status ${request.status})` };
      try {
        body = JSON.parse(request.responseText);
      } catch {
        reject(new Problem(body));
        return;
      }
      if (request.status < 300) resolve(body);
      else reject(new Problem(body));
    });
    request.send(archive);
  });
}
