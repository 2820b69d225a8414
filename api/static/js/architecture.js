// An architecture drawn block by block: height shows channels, color shows kernel size, LightNL blocks have a cap.

import { h } from "./dom.js";
import * as format from "./format.js";

/** Draw an architecture as the API returns it. */
export function architectureDrawing(architecture) {
  const { arch, blocks } = architecture;
  const widest = Math.max(...blocks.map((block) => block.out_channels), arch.stem_channels);
  const costliest = Math.max(...blocks.map((block) => block.macs));
  const first = blocks[0].in_size;
  const last = blocks.at(-1).out_size;
  return h(
    "div",
    { class: "architecture" },
    h(
      "ol",
      { class: "blocks scroll", "aria-label": "Blocks from input to output" },
      end("input", `${arch.resolution}²`, "pixels"),
      end("stem", "3×3", `${arch.stem_channels} ch`, `${first}²`),
      blocks.map((block, index) => blockCard(block, index, widest, costliest, index === 0 ? first : blocks[index - 1].out_size)),
      end("head", "1×1", `${arch.head_channels} ch`, `${last}²`),
      end("classes", String(arch.num_classes), "linear"),
    ),
    legend(blocks),
    h("p", { class: "arch-string" }, h("code", {}, architecture.arch_string)),
  );
}

function blockCard(block, index, widest, costliest, sizeBefore) {
  const nl = block.light_nl;
  const words = [
    `Block ${index + 1}: ${block.kernel_size}×${block.kernel_size} kernel, expansion ${block.expand_ratio}`,
    `${block.in_channels} to ${block.out_channels} channels, stride ${block.stride}`,
    block.se_ratio ? `squeeze-excite ratio ${block.se_ratio}` : null,
    nl ? `LightNL: ratio ${nl.nl_ratio}, stride ${nl.nl_stride}` : null,
    block.residual ? "residual" : "no residual",
    `${format.count(block.macs)} MACs, ${format.count(block.params)} parameters`,
  ].filter(Boolean);
  return h(
    "li",
    { class: `block${block.out_size !== sizeBefore ? " shrinks" : ""}`, title: words.join("\n"), tabindex: 0, "aria-label": words.join(", ") },
    h("span", { class: "block-size" }, block.out_size !== sizeBefore ? `${block.out_size}²` : ""),
    h(
      "span",
      { class: "column" },
      h(
        "span",
        { class: `pillar k${block.kernel_size}`, share: block.out_channels / widest },
        nl ? h("span", { class: "cap" }, "NL") : null,
        h("span", { class: "pillar-width" }, block.out_channels),
      ),
    ),
    h("span", { class: "facts" }, `k${block.kernel_size} e${block.expand_ratio}`),
    h("span", { class: "facts faint" }, nl ? nl.nl_ratio : block.se_ratio ? "SE" : " "),
    h("span", { class: "facts faint" }, nl ? `s${nl.nl_stride}` : " "),
    h("span", { class: "cost", share: block.macs / costliest }),
  );
}

function end(name, number, note, size = "") {
  return h(
    "li",
    { class: "block end" },
    h("span", { class: "block-size" }, size),
    h("span", { class: "column" }, h("span", { class: "end-box" }, number)),
    h("span", { class: "facts" }, name),
    h("span", { class: "facts faint" }, note),
    h("span", { class: "facts" }, " "),
  );
}

function legend(blocks) {
  const kernels = [...new Set(blocks.map((block) => block.kernel_size))].sort();
  return h(
    "p",
    { class: "legend" },
    kernels.map((size) => h("span", {}, h("i", { class: `swatch k${size}` }), `${size}×${size} kernel`)),
    h("span", {}, h("i", { class: "swatch cap-swatch" }), "LightNL (ratio above stride)"),
    h("span", {}, h("i", { class: "swatch cost-swatch" }), "share of MACs"),
    h("span", {}, "height: channels; k: kernel; e: expansion; n²: feature map size"),
  );
}
