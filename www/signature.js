// Whether a model's manifest was signed by the one whose public key the page trusts.

import { Said } from './said.js';

const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

/** Where the signature of this very manifest is: a new release may have come in between. */
export async function signatureAddress(manifest, folder) {
  // Without cryptography there is nothing to check with either, which is told then.
  const hash = globalThis.crypto?.subtle ? await crypto.subtle.digest('SHA-256', manifest) : new ArrayBuffer();
  const sha256 = [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return new URL(`manifest.json.sig?sha256=${sha256}`, folder).href;
}

/** Throws unless `signature` is that of `manifest` by `key`: base64 of 64 bytes, and of an ed25519 public key as a PEM file has it. */
export async function checkSignature(manifest, signature, key) {
  if (!globalThis.crypto?.subtle) throw new Said('signature-https');
  let trusted;
  try {
    trusted = await crypto.subtle.importKey('spki', bytes(key.replace(/-----[A-Z ]+-----|\s/g, '')), 'Ed25519', false, ['verify']);
  } catch (error) {
    if (error.name === 'NotSupportedError') throw new Said('signature-browser');
    throw new Said('key-unusable');
  }
  let signed = false;
  try {
    signed = await crypto.subtle.verify('Ed25519', trusted, bytes(signature.trim()), manifest);
  } catch { /* what is no base64 is no signature */ }
  if (!signed) throw new Said('signature-missing');
}

/** Throws unless a signed manifest is that of the model whose folder this is: the signature says who made it, not which one it is. */
export function checkName(manifest, folder) {
  const name = new URL('./', folder).pathname.split('/').at(-2);
  const { id } = JSON.parse(new TextDecoder().decode(manifest));
  if (id !== name) throw new Said('signature-name', { name, id });
}
