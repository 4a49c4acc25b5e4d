// Renders the page as a server does, and bundles its script for the origin that is named.
import fs from 'node:fs';
import { pathToFileURL } from 'node:url';
import { page } from './out/server.js';

const { default: webpack } = await import(pathToFileURL(`${process.env.ASASR_PEERS}/webpack/lib/index.js`));
const [, , origin] = process.argv;
const output = { path: `${import.meta.dirname}/dist`, publicPath: origin };
webpack({ mode: 'production', entry: './out/client.js', context: import.meta.dirname, output, performance: false }, (error, stats) => {
  if (error ?? stats.hasErrors()) throw error ?? new Error(stats.toString('errors-warnings'));
});
fs.writeFileSync('page/index.html', `<!doctype html><meta charset=utf-8><title>An app</title><div id=root>${page}</div><script src=${origin}main.js></script>`);
