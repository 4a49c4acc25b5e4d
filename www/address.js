// Where a model's parts are. Names come from the page's address and from manifests: nothing in them may mean anything there.

import { Said } from './said.js';

/** Whether that is a plain name, by the rule of manifests: letters, digits, dots, hyphens and underscores. */
export const plain = (name) => typeof name === 'string' && /^(?!\.|manifest\.json)[\w.-]{1,100}$/.test(name);

/** An address in full: some bundlers leave the origin out. */
export const absolute = (address) => new URL(address, globalThis.document?.baseURI ?? globalThis.location.href).href;

/** Whether a file may be a model, by its name. */
export const isModel = ({ name }) => /\.(pth|pt|safetensors|onnx|param|bin)$/i.test(name);

/** A model's address in full, of its file or its folder; folders are also given without the slash, or by their manifest. */
export function modelPlace(address) {
  const place = new URL(absolute(address));
  if (!isModel({ name: place.pathname })) place.pathname = place.pathname.replace(/(\/manifest\.json|\/)?$/, '/');
  return place.href;
}

/** The folder of the model of that name on the server of `base`. */
export function modelAddress(id, base) {
  if (!plain(id)) throw new RangeError(`${JSON.stringify(id)} is no model's name: it has letters, digits, dots, hyphens and underscores`);
  return new URL(`v1/models/${id}/`, base).href;
}

/** A weights file beside its manifest; the hash in the address lets caches keep each version apart. */
export function weightsAddress({ file, sha256 }, folder) {
  if (!plain(file) || !/^[0-9a-f]{64}$/.test(sha256)) throw new Said('manifest-unusable');
  return new URL(`${file}?sha256=${sha256}`, folder).href;
}

/** The networks of a manifest, of either format, the one that answers in the mode `instant` first. */
export function networks(manifest) {
  if (manifest.format === 1) return [manifest, manifest.flow, manifest.fast].filter(Boolean);
  const { restorer, community, ...others } = manifest.networks;
  return [restorer, community, ...Object.values(others)].filter(Boolean);
}
