// Devices that searches limit latency on: what was measured there, and how well that predicts networks.

import * as api from "./api.js";
import { h, replace } from "./dom.js";
import * as format from "./format.js";
import { notice, regularly, table } from "./parts.js";

const TITLES = ["name", "space", "pixels", "networks, ms", "worst error", "measured", "device"];

/** Show all devices in `main`; returns a function that stops what is still on its way. */
export function showDevices(main) {
  document.title = "Devices · AutoNL";
  const list = h("section", { class: "part" });
  const hint = h("p", { class: "hint" }, "Measured devices, on which a search can limit the latency of its network. On the machine that is to be measured: ",
    h("code", {}, "autonl device measure --space mobile-32 --resolution 32 --out table.json --add NAME"));
  replace(main, h("section", { class: "part" }, h("h1", {}, "Devices"), hint), list);
  const update = async () => {
    const { devices } = await api.getDevices();
    replace(list, devices.length ? table("Devices", TITLES, devices.map(row)) : h("p", { class: "hint" }, "None was added yet."));
    return false;
  };
  return regularly(update, (problem) => replace(list, notice(problem)));
}

function row({ name, space, resolution, fastest_ms: fastest, slowest_ms: slowest, worst_error_pct: error, measured_on: date, device }) {
  const span = fastest === null ? null : `${fastest.toFixed(3)} to ${slowest.toFixed(3)}`;
  return [name, space, resolution, span, error === null ? null : format.percent(error, 1), date, device];
}
